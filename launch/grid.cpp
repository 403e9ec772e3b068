#include "launch/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "data/png.h"
#include "launch/font.h"

namespace langrun::launch {
namespace {

using Colour = std::array<std::uint8_t, 3>;
constexpr Colour kBackground{24, 26, 30};
constexpr Colour kCell{44, 47, 54};  // between images, so that dark ones keep their edges
constexpr Colour kInk{226, 229, 235};
constexpr Colour kBar{94, 179, 246};
constexpr Colour kFrame{255, 176, 32};
constexpr Colour kNotFinite{255, 0, 255};
constexpr std::int64_t kFontScale = 2;
constexpr std::int64_t kLetterWidth = (kGlyphWidth + 1) * kFontScale;
constexpr std::int64_t kLineHeight = (kGlyphHeight + 2) * kFontScale;

/// Where everything of one panel goes, relative to its corner; pixels of the picture.
struct Layout {
  std::int64_t columns = 1, rows = 1, scale = 1;
  std::int64_t cell_width = 0, cell_height = 0;  // an image and the margin after it
  std::vector<std::string> lines;                // the label, wrapped
  std::int64_t width = 0, height = 0;
  std::int64_t grid_top = 0, histogram_top = 0;
};

std::int64_t near_square(std::int64_t count) {
  auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  // A whole number of rows looks tidier than a ragged last one, if it can be had without a long strip.
  for (auto wider = columns; wider <= 2 * columns; ++wider)
    if (count % wider == 0) return wider;
  return columns;
}

/// Words of `text` in lines of at most `width` letters; a word longer than a line is cut.
std::vector<std::string> wrap(const std::string& text, std::int64_t width) {
  const auto limit = static_cast<std::size_t>(std::max<std::int64_t>(width, 1));
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    auto length = std::min(limit, text.size() - at);
    if (at + length < text.size()) {
      const auto space = text.rfind(' ', at + length);
      if (space != std::string::npos && space > at) length = space - at;
    }
    lines.push_back(text.substr(at, length));
    at += length;
    while (at < text.size() && text[at] == ' ') ++at;
  }
  return lines;
}

Layout lay_out(const Panel& panel, const GridStyle& style) {
  const auto& shape = panel.shape;
  if (panel.count < 1 || shape.height < 1 || shape.width < 1 || (shape.channels != 1 && shape.channels != 3) ||
      panel.images.size() != static_cast<std::size_t>(panel.count * shape.elements()))
    throw Error(ExitCode::internal,
                fmt::format("panel '{}': {} images of {} x {} x {} cannot come from {} values", panel.label,
                            panel.count, shape.channels, shape.height, shape.width, panel.images.size()));
  for (const auto marked : {panel.marks.bars.size(), panel.marks.framed.size()})
    if (marked != 0 && marked != static_cast<std::size_t>(panel.count))
      throw Error(ExitCode::internal,
                  fmt::format("panel '{}': {} marks for {} images", panel.label, marked, panel.count));
  Layout layout;
  layout.columns = std::min(style.columns > 0 ? style.columns : near_square(panel.count), panel.count);
  layout.rows = (panel.count + layout.columns - 1) / layout.columns;
  layout.scale = style.scale > 0 ? style.scale : std::max<std::int64_t>(1, (63 + shape.height) / shape.height);
  layout.cell_width = shape.width * layout.scale + kGridMargin;
  layout.cell_height = shape.height * layout.scale + kGridMargin + (panel.marks.bars.empty() ? 0 : kBarHeight);
  layout.width = layout.columns * layout.cell_width + kGridMargin;
  layout.lines = wrap(panel.label, layout.width / kLetterWidth);
  layout.grid_top = static_cast<std::int64_t>(layout.lines.size()) * kLineHeight;
  layout.histogram_top = layout.grid_top + layout.rows * layout.cell_height + kGridMargin;
  layout.height = layout.histogram_top + (panel.marks.histogram.empty() ? 0 : kHistogramHeight + kGridMargin);
  return layout;
}

/// Grids that stand side by side begin at one height, however long their labels.
void align(std::vector<Layout>& layouts) {
  std::int64_t top = 0;
  for (const auto& layout : layouts) top = std::max(top, layout.grid_top);
  for (auto& layout : layouts) {
    layout.height += top - layout.grid_top;
    layout.histogram_top += top - layout.grid_top;
    layout.grid_top = top;
  }
}

/// The picture with what draws on it; coordinates outside are a bug, so they are not clipped but laid out to fit.
class Canvas {
 public:
  Canvas(std::int64_t width, std::int64_t height) {
    picture_.width = width;
    picture_.height = height;
    picture_.pixels.resize(static_cast<std::size_t>(width * height * 3));
    box(0, 0, width, height, kBackground);
  }

  void box(std::int64_t left, std::int64_t top, std::int64_t width, std::int64_t height, const Colour& colour) {
    for (auto y = top; y < top + height; ++y)
      for (auto x = left; x < left + width; ++x)
        std::copy(colour.begin(), colour.end(), picture_.pixels.begin() + (y * picture_.width + x) * 3);
  }

  void text(std::int64_t left, std::int64_t top, const std::string& line) {
    for (const char letter : line) {
      for (int y = 0; y < kGlyphHeight; ++y)
        for (int x = 0; x < kGlyphWidth; ++x)
          if (glyph_pixel(letter, x, y)) box(left + x * kFontScale, top + y * kFontScale, kFontScale, kFontScale, kInk);
      left += kLetterWidth;
    }
  }

  Picture take() { return std::move(picture_); }

 private:
  Picture picture_;
};

/// [-1, 1] to [0, 255], to the nearest level.
std::uint8_t level(float value) {
  return static_cast<std::uint8_t>(std::lround((std::clamp(value, -1.0f, 1.0f) + 1.0f) * 127.5f));
}

Colour colour_at(const Panel& panel, std::int64_t index, std::int64_t y, std::int64_t x) {
  const auto& shape = panel.shape;
  Colour colour{};
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto channel = std::min(c, shape.channels - 1);
    const auto inside = panel.channels_last ? (y * shape.width + x) * shape.channels + channel
                                            : (channel * shape.height + y) * shape.width + x;
    const float value = panel.images[static_cast<std::size_t>(index * shape.elements() + inside)];
    if (!std::isfinite(value)) return kNotFinite;
    colour[static_cast<std::size_t>(c)] = level(value);
  }
  return colour;
}

void draw_image(Canvas& canvas, const Panel& panel, std::int64_t index, std::int64_t left, std::int64_t top,
                std::int64_t scale) {
  for (std::int64_t y = 0; y < panel.shape.height; ++y)
    for (std::int64_t x = 0; x < panel.shape.width; ++x)
      canvas.box(left + x * scale, top + y * scale, scale, scale, colour_at(panel, index, y, x));
}

/// The frame lies in the margin, so that it hides nothing of the image, which is drawn over it.
void draw_marks(Canvas& canvas, const Panel& panel, std::size_t index, std::int64_t left, std::int64_t top,
                std::int64_t scale) {
  const auto width = panel.shape.width * scale, height = panel.shape.height * scale;
  if (!panel.marks.framed.empty() && panel.marks.framed[index])
    canvas.box(left - kGridMargin, top - kGridMargin, width + 2 * kGridMargin, height + 2 * kGridMargin, kFrame);
  if (panel.marks.bars.empty()) return;
  const auto length = std::lround(std::clamp(panel.marks.bars[index], 0.0f, 1.0f) * static_cast<float>(width));
  canvas.box(left, top + height + kGridMargin, length, kBarHeight - kGridMargin, kBar);
}

void draw_histogram(Canvas& canvas, const std::vector<float>& counts, std::int64_t left, std::int64_t top,
                    std::int64_t width) {
  const auto most = std::max(*std::max_element(counts.begin(), counts.end()), 1.0f);
  const auto bins = static_cast<std::int64_t>(counts.size());
  for (std::int64_t i = 0; i < bins; ++i) {
    const auto from = i * width / bins, to = (i + 1) * width / bins;
    const auto height = std::lround(counts[static_cast<std::size_t>(i)] / most * kHistogramHeight);
    canvas.box(left + from, top + kHistogramHeight - height, std::max<std::int64_t>(1, to - from - 1), height, kBar);
  }
}

void draw_panel(Canvas& canvas, const Panel& panel, const Layout& layout, std::int64_t left, std::int64_t top) {
  for (std::size_t i = 0; i < layout.lines.size(); ++i)
    canvas.text(left, top + static_cast<std::int64_t>(i) * kLineHeight, layout.lines[i]);
  top += layout.grid_top;
  canvas.box(left, top, layout.width, layout.height - layout.grid_top, kCell);
  for (std::int64_t i = 0; i < panel.count; ++i) {
    const auto x = left + kGridMargin + i % layout.columns * layout.cell_width;
    const auto y = top + kGridMargin + i / layout.columns * layout.cell_height;
    draw_marks(canvas, panel, static_cast<std::size_t>(i), x, y, layout.scale);
    draw_image(canvas, panel, i, x, y, layout.scale);
  }
  if (!panel.marks.histogram.empty())
    draw_histogram(canvas, panel.marks.histogram, left + kGridMargin, top - layout.grid_top + layout.histogram_top,
                   layout.width - 2 * kGridMargin);
}

}  // namespace

Picture draw_grid(const std::vector<Panel>& panels, const GridStyle& style) {
  if (panels.empty()) throw Error(ExitCode::internal, "a picture needs at least one panel");
  std::vector<Layout> layouts;
  for (const auto& panel : panels) layouts.push_back(lay_out(panel, style));
  if (!style.stacked) align(layouts);
  std::int64_t along = kPanelGap, across = 0;  // along the row (or column) of panels, and the widest across it
  for (const auto& layout : layouts) {
    along += (style.stacked ? layout.height : layout.width) + kPanelGap;
    across = std::max(across, style.stacked ? layout.width : layout.height);
  }
  across += 2 * kPanelGap;
  Canvas canvas(style.stacked ? across : along, style.stacked ? along : across);
  auto at = kPanelGap;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    draw_panel(canvas, panels[i], layouts[i], style.stacked ? kPanelGap : at, style.stacked ? at : kPanelGap);
    at += (style.stacked ? layouts[i].height : layouts[i].width) + kPanelGap;
  }
  return canvas.take();
}

std::vector<std::uint8_t> encode_png(const Picture& picture) {
  return langrun::encode_png(picture.width, picture.height, 3, picture.pixels);
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
  langrun::write_png(path, picture.width, picture.height, 3, picture.pixels);
}

}  // namespace langrun::launch
