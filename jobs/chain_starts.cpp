#include "jobs/chain_starts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <utility>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr std::array<std::pair<const char*, ChainStart>, 6> kStarts{{
    {"coop-persistent", ChainStart::coop_persistent},
    {"persistent", ChainStart::persistent},
    {"coop", ChainStart::coop},
    {"data", ChainStart::data},
    {"data-persistent", ChainStart::data_persistent},
    {"noise", ChainStart::noise},
}};

// Within one (slot, step), each use has a step number of its own; 0 is the rejuvenation's coin.
constexpr std::uint32_t kLatent = 1, kUniform = 2, kDataIndex = 3;

NoisePlace place_of(std::uint64_t slot, std::int64_t step, std::uint32_t use) {
  return {chain_identity(slot, static_cast<std::uint64_t>(step)), use};
}

}  // namespace

ChainStart chain_start(const std::string& name) {
  for (const auto& [word, start] : kStarts)
    if (name == word) return start;
  throw Error(ExitCode::usage, fmt::format("unknown chain start '{}'", name));
}

bool uses_generator(ChainStart start) { return start == ChainStart::coop_persistent || start == ChainStart::coop; }

bool uses_bank(ChainStart start) {
  return start == ChainStart::coop_persistent || start == ChainStart::persistent ||
         start == ChainStart::data_persistent;
}

at::Tensor fresh_latents(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key,
                         std::int64_t length) {
  auto latents = torch::empty({static_cast<std::int64_t>(slots.size()), length});
  auto* values = latents.mutable_data_ptr<float>();
  for (std::size_t i = 0; i < slots.size(); ++i)
    fill_normal(key, place_of(slots[i], step, kLatent),
                {values + static_cast<std::int64_t>(i) * length, static_cast<std::size_t>(length)});
  return latents;
}

at::Tensor uniform_images(const ImageShape& image, const std::vector<std::uint64_t>& slots, std::int64_t step,
                          NoiseKey key) {
  auto images = torch::empty({static_cast<std::int64_t>(slots.size()), image.channels, image.height, image.width},
                             torch::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast));
  auto* values = images.mutable_data_ptr<float>();
  const auto length = image.elements();
  for (std::size_t i = 0; i < slots.size(); ++i)
    fill_uniform(key, place_of(slots[i], step, kUniform),
                 {values + static_cast<std::int64_t>(i) * length, static_cast<std::size_t>(length)});
  return images.mul_(2).sub_(1);
}

at::Tensor data_images(TrainingData& data, const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) {
  std::vector<std::uint64_t> indices;
  for (const auto slot : slots)
    indices.push_back(uniform_integer(key, place_of(slot, step, kDataIndex), 0, data.count()));
  return data.images(indices);
}

}  // namespace langrun
