// One decoded image in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace langrun {

/// An 8-bit image: `pixels` is uint8 [height, width, channels], rows from the top, channels 1 (grey) or 3 (RGB).
struct Raster {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 3;
  std::vector<std::uint8_t> pixels;

  std::size_t bytes() const { return static_cast<std::size_t>(height * width * channels); }
  bool operator==(const Raster&) const = default;
};

}  // namespace langrun
