#include "core/augment.h"

#include <algorithm>
#include <array>

#include "core/noise.h"
#include "core/torch.h"

namespace langrun {

at::Tensor shifted(const at::Tensor& images, std::int64_t reach, NoiseKey key, std::uint64_t first) {
  if (reach <= 0) return images;
  const torch::NoGradGuard constant;
  const auto height = images.size(2), width = images.size(3);
  const auto padded = at::constant_pad_nd(images, {reach, reach, reach, reach}, -1);
  auto out = at::empty_like(images, at::MemoryFormat::ChannelsLast);
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    std::array<float, 2> draws{};
    fill_uniform(key, {first + static_cast<std::uint64_t>(i), 0}, draws);
    const auto place = [&](float draw) {
      return std::min(static_cast<std::int64_t>(draw * static_cast<float>(2 * reach + 1)), 2 * reach);
    };
    out[i].copy_(padded[i].narrow(1, place(draws[0]), height).narrow(2, place(draws[1]), width));
  }
  return out;
}

}  // namespace langrun
