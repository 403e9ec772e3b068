#include "core/bank.h"

#include <fmt/format.h>

#include <unordered_map>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

at::Tensor index_of(const std::vector<std::int64_t>& which) {
  return torch::from_blob(const_cast<std::int64_t*>(which.data()), {static_cast<std::int64_t>(which.size())},
                          torch::kInt64);
}

}  // namespace

std::vector<std::int64_t> draw_rows(NoiseKey key, std::int64_t lane, std::int64_t step, std::int64_t rows,
                                    std::int64_t count) {
  if (count > rows)
    throw Error(ExitCode::usage, fmt::format("lane {} of the bank has {} slots, a step draws {}", lane, rows, count),
                "use a larger --bank.size or a smaller --batch");
  // The first `count` of a Fisher-Yates shuffle; only the places it has touched are kept.
  std::unordered_map<std::int64_t, std::int64_t> moved;
  const auto at = [&](std::int64_t place) {
    const auto found = moved.find(place);
    return found == moved.end() ? place : found->second;
  };
  const NoisePlace place{chain_identity(static_cast<std::uint64_t>(lane), static_cast<std::uint64_t>(step)), 0};
  std::vector<std::int64_t> drawn;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto j = i + static_cast<std::int64_t>(uniform_integer(key, place, static_cast<std::uint32_t>(i),
                                                                 static_cast<std::uint64_t>(rows - i)));
    const auto chosen = at(j);
    moved[j] = at(i);
    drawn.push_back(chosen);
  }
  return drawn;
}

bool rejuvenates(NoiseKey key, std::uint64_t slot, std::int64_t step, std::int64_t updates,
                 const RejuvenationRule& rule) {
  if (rule.max_rounds > 0 && updates > rule.max_rounds) return true;
  float u = 0;
  fill_uniform(key, {chain_identity(slot, static_cast<std::uint64_t>(step)), 0}, {&u, 1});
  return u < rule.probability;
}

BankLane BankLane::make(std::int64_t rows, const ImageShape& image, std::int64_t latent) {
  BankLane lane;
  lane.images = torch::zeros({rows, image.channels, image.height, image.width});
  lane.latents = torch::zeros({rows, latent});
  lane.updates.assign(static_cast<std::size_t>(rows), 0);
  lane.visits.assign(static_cast<std::size_t>(rows), 0);
  return lane;
}

at::Tensor BankLane::take_images(const std::vector<std::int64_t>& which) const {
  return images.index_select(0, index_of(which));
}

at::Tensor BankLane::take_latents(const std::vector<std::int64_t>& which) const {
  return latents.index_select(0, index_of(which));
}

void BankLane::put(const std::vector<std::int64_t>& which, const at::Tensor& new_images,
                   const at::Tensor& new_latents) {
  images.index_copy_(0, index_of(which), new_images.to(torch::kCPU));
  if (latents.size(1) > 0) latents.index_copy_(0, index_of(which), new_latents.to(torch::kCPU));
}

}  // namespace langrun
