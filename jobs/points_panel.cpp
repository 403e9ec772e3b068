#include "jobs/points_panel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace langrun {
namespace {

constexpr std::int64_t kSquares = 128, kScale = 2, kSide = kSquares * kScale;
constexpr float kHalfWidth = 1.2f;

/// From dark violet over red to light yellow, for 0 .. 1.
std::array<float, 3> colour_of(float share) {
  constexpr std::array<std::array<float, 3>, 5> kStops{
      {{0.0f, 0.0f, 0.02f}, {0.34f, 0.06f, 0.43f}, {0.73f, 0.21f, 0.33f}, {0.98f, 0.56f, 0.04f}, {0.99f, 1.0f, 0.64f}}};
  const float at = std::clamp(share, 0.0f, 1.0f) * static_cast<float>(kStops.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(at), kStops.size() - 2);
  const float t = at - static_cast<float>(low);
  std::array<float, 3> colour{};
  for (std::size_t c = 0; c < 3; ++c) colour[c] = kStops[low][c] + (kStops[low + 1][c] - kStops[low][c]) * t;
  return colour;
}

std::int64_t square_of(float value) {
  const float place = (value + kHalfWidth) / (2 * kHalfWidth) * static_cast<float>(kSquares);
  return static_cast<std::int64_t>(std::clamp(place, 0.0f, static_cast<float>(kSquares - 1)));
}

}  // namespace

bool are_points(const ImageShape& image) { return image == ImageShape{2, 1, 1}; }

std::int64_t pictured_images(const ImageShape& image) { return are_points(image) ? 4096 : 64; }

std::size_t sample_bytes(const ImageShape& image) {
  return static_cast<std::size_t>(image.elements()) * (are_points(image) ? sizeof(float) : 1);
}

Panel points_panel(const std::string& title, std::span<const float> points) {
  std::vector<std::int64_t> counts(kSquares * kSquares, 0);
  std::int64_t left_out = 0;
  for (std::size_t i = 0; i + 1 < points.size(); i += 2) {
    const float x = points[i], y = points[i + 1];
    if (!std::isfinite(x) || !std::isfinite(y)) {
      ++left_out;
      continue;
    }
    ++counts[static_cast<std::size_t>((kSquares - 1 - square_of(y)) * kSquares + square_of(x))];
  }
  const auto most = std::max<std::int64_t>(1, *std::max_element(counts.begin(), counts.end()));
  const float full = std::log1p(static_cast<float>(most));
  Panel panel{left_out > 0 ? fmt::format("{}; {} not finite", title, left_out) : title, 1, 3, kSide, kSide, {}};
  panel.pixels.resize(static_cast<std::size_t>(kSide * kSide * 3));
  for (std::int64_t row = 0; row < kSide; ++row)
    for (std::int64_t column = 0; column < kSide; ++column) {
      const auto count = counts[static_cast<std::size_t>(row / kScale * kSquares + column / kScale)];
      const auto colour = colour_of(std::log1p(static_cast<float>(count)) / full);
      for (std::size_t c = 0; c < 3; ++c)
        panel.pixels[static_cast<std::size_t>((row * kSide + column) * 3) + c] = 2 * colour[c] - 1;
    }
  return panel;
}

}  // namespace langrun
