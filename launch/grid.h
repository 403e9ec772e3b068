// Pictures of samples: labelled grids of images, side by side or stacked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/images.h"
#include "jobs/panel_marks.h"

namespace langrun::launch {

/// One grid of a picture. `images` holds `count` images of `shape`, float32 in [-1, 1] (clamped here, nowhere else;
/// what is not finite shows as magenta), [N, C, H, W] or, with `channels_last`, [N, H, W, C]. C is 1 or 3.
struct Panel {
  std::string label;  ///< above the grid, wrapped to its width ("samples, averaged weights"); empty: no line for it
  std::span<const float> images;
  std::int64_t count = 0;
  ImageShape shape;
  bool channels_last = false;
  PanelMarks marks{};  ///< bars, frames and histogram, each drawn where it is not empty
};

struct GridStyle {
  std::int64_t columns = 0;  ///< images a row of each grid; 0: as near to a square as it goes
  std::int64_t scale = 0;    ///< each pixel becomes scale x scale ones; 0: images come out at least 64 pixels high
  bool stacked = false;      ///< panels one below another instead of side by side
};

/// RGB, uint8 [height, width, 3].
struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> pixels;
};

constexpr std::int64_t kGridMargin = 2;  ///< pixels between images, and around a grid
constexpr std::int64_t kBarHeight = 4;   ///< of a bar under an image
constexpr std::int64_t kHistogramHeight = 48;
constexpr std::int64_t kPanelGap = 12;  ///< pixels between panels, and around them

/// Draws the panels on one picture. Throws Error(internal) where a panel's sizes do not fit together, or there is
/// nothing to draw.
Picture draw_grid(const std::vector<Panel>& panels, const GridStyle& style = {});

/// The picture as PNG bytes.
std::vector<std::uint8_t> encode_png(const Picture& picture);
/// The picture as a PNG file, whole or not at all. Throws Error(storage).
void write_png(const std::filesystem::path& path, const Picture& picture);

}  // namespace langrun::launch
