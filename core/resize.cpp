#include "core/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/noise.h"
#include "core/resample.h"

namespace langrun {
namespace {

constexpr std::int64_t kMostPixels = std::int64_t{1} << 27;

/// Rows go through the filter once, as the output comes to need them, and wait in a ring: the floats of a whole image
/// would not stay in the cache.
class Resampler {
 public:
  Resampler(const Raster& image, Extent extent, Window window)
      : image_(image), across_(image.width, extent.width, window.left, window.width),
        down_(image.height, extent.height, window.top, window.height), kernels_(fastest()) {
    for (const auto& span : down_.spans) ring_rows_ = std::max(ring_rows_, span.count);
    // One float behind each row, see ResampleKernels.
    row_floats_ = static_cast<std::size_t>(window.width * 3 + 1);
    ring_.resize(static_cast<std::size_t>(ring_rows_) * row_floats_);
    const auto* end = image.pixels.data() + image.bytes();
    last_row_.assign(end - image.width * 3, end);
    last_row_.push_back(0);
  }

  void run(Raster& out) {
    std::vector<const float*> rows(static_cast<std::size_t>(ring_rows_));
    auto next = down_.spans.front().first;
    const auto values = out.width * 3;
    for (std::int64_t y = 0; y < out.height; ++y) {
      const auto& span = down_.spans[static_cast<std::size_t>(y)];
      for (next = std::max(next, span.first); next < span.first + span.count; ++next)
        kernels_.across(across_, source(next), ring(next));
      for (std::int64_t tap = 0; tap < span.count; ++tap) rows[static_cast<std::size_t>(tap)] = ring(span.first + tap);
      kernels_.down(rows.data(), down_.weights.data() + span.weights, span.count, values,
                    out.pixels.data() + y * values);
    }
  }

 private:
  static const ResampleKernels& fastest() {
    static const ResampleKernels kernels = resample_kernels().back();
    return kernels;
  }
  const std::uint8_t* source(std::int64_t y) const {
    return y + 1 < image_.height ? image_.pixels.data() + y * image_.width * 3 : last_row_.data();
  }
  float* ring(std::int64_t y) { return ring_.data() + static_cast<std::size_t>(y % ring_rows_) * row_floats_; }

  const Raster& image_;
  Filter across_, down_;
  const ResampleKernels& kernels_;
  std::int64_t ring_rows_ = 1;
  std::size_t row_floats_ = 0;
  std::vector<float> ring_;
  std::vector<std::uint8_t> last_row_;  ///< with a byte behind it
};

/// The window of an image that has its extent already. `out` has the window's extent.
void copy_window(const Raster& image, Window window, Raster& out) {
  const auto row = static_cast<std::size_t>(window.width * image.channels);
  for (std::int64_t y = 0; y < window.height; ++y) {
    const auto from = ((window.top + y) * image.width + window.left) * image.channels;
    std::memcpy(out.pixels.data() + static_cast<std::size_t>(y) * row, image.pixels.data() + from, row);
  }
}

/// Grey images, which no decoder here makes: as RGB with three equal channels.
void resize_grey(const Raster& image, Extent extent, Window window, Raster& out) {
  Raster wide{image.height, image.width, 3, {}}, wide_out;
  for (const auto value : image.pixels) wide.pixels.insert(wide.pixels.end(), 3, value);
  resize_window(wide, extent, window, wide_out);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = wide_out.pixels[i * 3];
}

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

void check_resized_extent(std::int64_t height, std::int64_t width, Extent extent) {
  if (extent.height > kMostPixels / extent.width)
    throw Error(ExitCode::input, fmt::format("{} x {} pixels would become {} x {}, more than langrun holds in memory",
                                             height, width, extent.height, extent.width));
}

void resize_window(const Raster& image, Extent extent, Window window, Raster& out) {
  if (window.top < 0 || window.left < 0 || window.height < 1 || window.width < 1 ||
      window.top + window.height > extent.height || window.left + window.width > extent.width)
    throw Error(ExitCode::internal,
                fmt::format("window of {} x {} at ({}, {}) leaves an image of {} x {}", window.height, window.width,
                            window.top, window.left, extent.height, extent.width));
  out.height = window.height;
  out.width = window.width;
  out.channels = image.channels;
  out.pixels.resize(out.bytes());
  if (image.height == extent.height && image.width == extent.width) return copy_window(image, window, out);
  if (image.channels != 3) return resize_grey(image, extent, window, out);
  Resampler(image, extent, window).run(out);
}

Raster resize(const Raster& image, Extent extent) {
  if (image.height == extent.height && image.width == extent.width) return image;
  check_resized_extent(image.height, image.width, extent);
  Raster out;
  resize_window(image, extent, {0, 0, extent.height, extent.width}, out);
  return out;
}

Raster crop(const Raster& image, CropOffset offset, std::int64_t size) {
  if (offset.top < 0 || offset.left < 0 || offset.top + size > image.height || offset.left + size > image.width)
    throw Error(ExitCode::internal, fmt::format("crop of {} at ({}, {}) leaves an image of {} x {}", size, offset.top,
                                                offset.left, image.height, image.width));
  Raster out{size, size, image.channels, {}};
  out.pixels.resize(out.bytes());
  copy_window(image, {offset.top, offset.left, size, size}, out);
  return out;
}

}  // namespace langrun
