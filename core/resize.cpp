#include "core/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr std::int64_t kMostPixels = std::int64_t{1} << 27;

}  // namespace

Extent short_side_extent(std::int64_t height, std::int64_t width, std::int64_t size) {
  if (height <= width) return {size, size * width / height};
  return {size * height / width, size};
}

CropOffset center_crop(Extent extent, std::int64_t size) {
  const auto middle = [size](std::int64_t length) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(length - size) / 2.0));
  };
  return {middle(extent.height), middle(extent.width)};
}

CropOffset random_crop(Extent extent, std::int64_t size, std::uint64_t seed, std::uint64_t index, std::uint32_t copy) {
  const auto key = noise_key(seed, Stream::crop);
  const NoisePlace place{index, copy};
  const auto draw = [&](std::uint32_t which, std::int64_t length) {
    return static_cast<std::int64_t>(uniform_integer(key, place, which, static_cast<std::uint64_t>(length - size + 1)));
  };
  return {draw(0, extent.height), draw(1, extent.width)};
}

Raster resize(const Raster& image, Extent extent) {
  if (image.height == extent.height && image.width == extent.width) return image;
  if (extent.height > kMostPixels / extent.width)
    throw Error(ExitCode::input, fmt::format("{} x {} pixels would become {} x {}, more than langrun holds in memory",
                                             image.height, image.width, extent.height, extent.width));
  const torch::NoGradGuard no_grad;
  // from_blob wants a mutable pointer; nothing writes through it.
  auto* pixels = const_cast<std::uint8_t*>(image.pixels.data());
  const auto planes = torch::from_blob(pixels, {1, image.height, image.width, image.channels}, torch::kUInt8)
                          .permute({0, 3, 1, 2})
                          .to(torch::kFloat32, false, false, torch::MemoryFormat::Contiguous);
  const auto resized = at::_upsample_bilinear2d_aa(planes, {extent.height, extent.width}, false);
  const auto rounded = resized.round_().clamp_(0, 255).to(torch::kUInt8).permute({0, 2, 3, 1}).contiguous();
  Raster out{extent.height, extent.width, image.channels, {}};
  const auto* first = rounded.data_ptr<std::uint8_t>();
  out.pixels.assign(first, first + out.bytes());
  return out;
}

Raster crop(const Raster& image, CropOffset offset, std::int64_t size) {
  if (offset.top < 0 || offset.left < 0 || offset.top + size > image.height || offset.left + size > image.width)
    throw Error(ExitCode::internal, fmt::format("crop of {} at ({}, {}) leaves an image of {} x {}", size, offset.top,
                                                offset.left, image.height, image.width));
  Raster out{size, size, image.channels, {}};
  out.pixels.resize(out.bytes());
  const auto row = static_cast<std::size_t>(size * image.channels);
  for (std::int64_t y = 0; y < size; ++y) {
    const auto from = ((offset.top + y) * image.width + offset.left) * image.channels;
    std::memcpy(out.pixels.data() + static_cast<std::size_t>(y) * row, image.pixels.data() + from, row);
  }
  return out;
}

}  // namespace langrun
