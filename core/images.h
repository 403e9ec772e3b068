// Sizes of images, shared by networks, stores and jobs.
#pragma once

#include <cstdint>

namespace langrun {

/// Channels, height, width of one image.
struct ImageShape {
  std::int64_t channels = 3;
  std::int64_t height = 32;
  std::int64_t width = 32;
  std::int64_t elements() const { return channels * height * width; }
  bool operator==(const ImageShape&) const = default;
};

}  // namespace langrun
