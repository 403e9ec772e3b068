#include "jobs/score_images.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

std::vector<std::uint64_t> first_images(std::int64_t count) {
  std::vector<std::uint64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), std::uint64_t{0});
  return all;
}

/// The first places of a keyed Fisher-Yates shuffle.
void shuffle(std::vector<std::uint64_t>& images, const ImageChoice& choice) {
  const auto key = noise_key(static_cast<std::uint64_t>(choice.seed), Stream::sample);
  for (std::size_t i = 0; i < static_cast<std::size_t>(choice.count); ++i)
    std::swap(images[i],
              images[i + uniform_integer(key, {choice.place, 0}, static_cast<std::uint32_t>(i), images.size() - i)]);
}

}  // namespace

ScoreImages::ScoreImages(const std::string& path) : store_(ImageStore::open(path)), chosen_(first_images(size())) {}

void ScoreImages::choose(const ImageChoice& choice) {
  chosen_ = first_images(size());
  if (choice.choice == "random") shuffle(chosen_, choice);
  chosen_.resize(static_cast<std::size_t>(choice.count));
  std::sort(chosen_.begin(), chosen_.end());
}

std::vector<std::uint8_t> ScoreImages::read_raw(std::int64_t first, std::int64_t count) const {
  const auto wanted = std::span(chosen_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  std::vector<std::uint8_t> raw(wanted.size() * image_bytes());
  store_.read(wanted, raw);
  return raw;
}

at::Tensor ScoreImages::read(std::int64_t first, std::int64_t count, std::int64_t rows) const {
  const auto extent = shape();
  auto raw = torch::full({rows, extent.height, extent.width, extent.channels}, 127, torch::kUInt8);
  const auto wanted = std::span(chosen_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  store_.read(wanted, {raw.mutable_data_ptr<std::uint8_t>(), wanted.size() * image_bytes()});
  return raw.permute({0, 3, 1, 2}).expand({rows, 3, extent.height, extent.width});
}

std::int64_t Blocks::rows(std::int64_t b) const { return std::clamp<std::int64_t>(count - b * block, 0, block); }

}  // namespace langrun
