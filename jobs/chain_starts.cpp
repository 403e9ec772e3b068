#include "jobs/chain_starts.h"

#include "core/torch.h"

namespace langrun {
namespace {

// Within one (slot, step), each use has a step number of its own; 0 is the rejuvenation's coin.
constexpr std::uint32_t kLatent = 1, kUniform = 2, kDataIndex = 3;

NoisePlace place_of(std::uint64_t slot, std::int64_t step, std::uint32_t use) {
  return {chain_identity(slot, static_cast<std::uint64_t>(step)), use};
}

}  // namespace

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
