// PNG files and sample grids, read back with libpng's simple reader.
#include <gtest/gtest.h>
#include <png.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "data/png.h"
#include "launch/font.h"
#include "launch/grid.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

Picture decode(const std::vector<std::uint8_t>& bytes, png_uint_32 format = PNG_FORMAT_RGB) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()), 0) << image.message;
  image.format = format;
  Picture picture{image.width, image.height, std::vector<std::uint8_t>(PNG_IMAGE_SIZE(image))};
  EXPECT_NE(png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr), 0) << image.message;
  return picture;
}

std::vector<int> pixel(const Picture& picture, std::int64_t x, std::int64_t y) {
  const auto at = picture.pixels.begin() + (y * picture.width + x) * 3;
  return {at[0], at[1], at[2]};
}

TEST(Png, RgbAndGreyReadBack) {
  std::vector<std::uint8_t> pixels(7 * 5 * 3);
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{3});
  const auto rgb = decode(langrun::encode_png(7, 5, 3, pixels));
  EXPECT_EQ(rgb.width, 7);
  EXPECT_EQ(rgb.height, 5);
  EXPECT_EQ(rgb.pixels, pixels);
  pixels.resize(7 * 5);
  EXPECT_EQ(decode(langrun::encode_png(7, 5, 1, pixels), PNG_FORMAT_GRAY).pixels, pixels);
}

TEST(Png, SizesThatDoNotFitAreRefused) {
  const std::vector<std::uint8_t> pixels(12);
  EXPECT_THROW(langrun::encode_png(2, 3, 3, pixels), Error);
  EXPECT_THROW(langrun::encode_png(0, 3, 3, pixels), Error);
  EXPECT_THROW(langrun::encode_png(3, 2, 2, pixels), Error);
}

TEST(Png, AFileIsWholeOrNotThere) {
  const fs::path folder = fs::path(testing::TempDir()) / "png_file";
  fs::remove_all(folder);
  const std::vector<std::uint8_t> pixels(4 * 4 * 3, 9);
  langrun::write_png(folder / "a" / "b.png", 4, 4, 3, pixels);
  EXPECT_TRUE(fs::exists(folder / "a" / "b.png"));
  EXPECT_FALSE(fs::exists(folder / "a" / "b.png.partial"));
  // A file stands where the folder should be.
  try {
    langrun::write_png(folder / "a" / "b.png" / "c.png", 4, 4, 3, pixels);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
  }
  fs::remove_all(folder);
}

/// `count` images of 2 x 3 pixels; channel c of image i is level(i, c) all over.
std::vector<float> flat_images(std::int64_t count, bool channels_last) {
  std::vector<float> values;
  const auto level = [](std::int64_t i, std::int64_t c) { return static_cast<float>(i + c) / 4.0f - 1.0f; };
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t k = 0; k < 18; ++k) values.push_back(level(i, channels_last ? k % 3 : k / 6));
  return values;
}

TEST(Grid, EveryImageStandsInItsPlace) {
  for (const bool channels_last : {false, true}) {
    const auto images = flat_images(5, channels_last);
    const Panel panel{"", images, 5, {3, 2, 3}, channels_last};
    const auto picture = draw_grid({panel}, {.columns = 2, .scale = 4});
    // 2 columns of 3 * 4 pixels, 3 rows of 2 * 4, margins between and around, gaps around the panel.
    EXPECT_EQ(picture.width, 2 * kPanelGap + 2 * 12 + 3 * kGridMargin);
    EXPECT_EQ(picture.height, 2 * kPanelGap + 3 * 8 + 4 * kGridMargin);
    for (int i = 0; i < 5; ++i) {
      const auto left = kPanelGap + kGridMargin + i % 2 * (12 + kGridMargin);
      const auto top = kPanelGap + kGridMargin + i / 2 * (8 + kGridMargin);
      const auto grey = [&](int c) { return static_cast<int>(std::lround((i + c) / 4.0 * 127.5)); };
      for (const auto& [x, y] : {std::pair{0, 0}, std::pair{11, 0}, std::pair{0, 7}, std::pair{11, 7}})
        EXPECT_EQ(pixel(picture, left + x, top + y), (std::vector<int>{grey(0), grey(1), grey(2)})) << i;
    }
  }
}

TEST(Grid, EnlargesPixelByPixelAndClamps) {
  const std::vector<float> image{-5.0f, 1.5f, 0.0f, std::numeric_limits<float>::quiet_NaN()};
  const auto picture = draw_grid({Panel{"", image, 1, {1, 2, 2}, false}}, {.scale = 3});
  const auto origin = kPanelGap + kGridMargin;
  EXPECT_EQ(pixel(picture, origin + 2, origin + 2), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(pixel(picture, origin + 3, origin + 2), (std::vector<int>{255, 255, 255}));
  EXPECT_EQ(pixel(picture, origin + 2, origin + 3), (std::vector<int>{128, 128, 128}));
  EXPECT_EQ(pixel(picture, origin + 3, origin + 3), (std::vector<int>{255, 0, 255}));
}

TEST(Grid, SmallImagesComeOutAtLeast64High) {
  const std::vector<float> images(16 * 32 * 32);
  const auto picture = draw_grid({Panel{"", images, 16, {1, 32, 32}, false}});
  EXPECT_EQ(picture.width, 2 * kPanelGap + 4 * (64 + kGridMargin) + kGridMargin);
  EXPECT_EQ(picture.height, picture.width);
}

TEST(Grid, PanelsStandSideBySideOrStacked) {
  const std::vector<float> images(4 * 8 * 8);
  const std::vector<Panel> panels{{"", images, 4, {1, 8, 8}, false}, {"", images, 4, {1, 8, 8}, false}};
  const auto side = 2 * (8 + kGridMargin) + kGridMargin;
  const auto row = draw_grid(panels, {.columns = 2, .scale = 1});
  EXPECT_EQ(row.width, 2 * side + 3 * kPanelGap);
  EXPECT_EQ(row.height, side + 2 * kPanelGap);
  const auto column = draw_grid(panels, {.columns = 2, .scale = 1, .stacked = true});
  EXPECT_EQ(column.width, row.height);
  EXPECT_EQ(column.height, row.width);
}

TEST(Grid, GridsSideBySideBeginAtOneHeight) {
  const std::vector<float> images(32 * 32, 1.0f);
  const auto picture = draw_grid(
      {Panel{"a label of many words", images, 1, {1, 32, 32}, false}, Panel{"", images, 1, {1, 32, 32}, false}});
  const auto bottom = picture.height - kPanelGap - kGridMargin;  // of both images, 64 pixels high
  for (const auto x : {kPanelGap + 10, picture.width - kPanelGap - 10}) {
    EXPECT_EQ(pixel(picture, x, bottom - 1), (std::vector<int>{255, 255, 255}));
    EXPECT_EQ(pixel(picture, x, bottom - 64), (std::vector<int>{255, 255, 255}));
    EXPECT_NE(pixel(picture, x, bottom), (std::vector<int>{255, 255, 255}));
  }
}

TEST(Grid, ALabelTakesItsLinesAndShows) {
  const std::vector<float> images(4 * 32 * 32);
  const auto draw = [&](const std::string& label) { return draw_grid({Panel{label, images, 4, {1, 32, 32}, false}}); };
  const auto plain = draw(""), one = draw("data"), two = draw("samples, averaged weights");
  EXPECT_EQ(one.width, plain.width);
  EXPECT_GT(one.height, plain.height);
  EXPECT_EQ(two.height - plain.height, 3 * (one.height - plain.height));
  std::int64_t ink = 0;
  for (auto y = kPanelGap; y < kPanelGap + one.height - plain.height; ++y)
    for (std::int64_t x = 0; x < one.width; ++x) ink += pixel(one, x, y)[0] > 128;
  std::int64_t expected = 0;
  for (const char letter : std::string("data"))
    for (int y = 0; y < kGlyphHeight; ++y)
      for (int x = 0; x < kGlyphWidth; ++x) expected += 4 * glyph_pixel(letter, x, y);
  EXPECT_EQ(ink, expected);
}

TEST(Grid, BarsFramesAndAHistogramStandBesideTheImages) {
  const std::vector<float> images(4 * 64, -1.0f);
  Panel panel{"", images, 4, {1, 8, 8}, false};
  panel.marks = {{0, 0.5f, 1, 0}, {false, false, true, false}, {2, 0, 4}};
  const auto picture = draw_grid({panel}, {.columns = 4, .scale = 1});
  EXPECT_EQ(picture.width, 2 * kPanelGap + 4 * (8 + kGridMargin) + kGridMargin);
  EXPECT_EQ(picture.height, 2 * kPanelGap + 8 + kBarHeight + kHistogramHeight + 3 * kGridMargin);
  const auto top = kPanelGap + kGridMargin;
  const auto left = [](int i) { return kPanelGap + kGridMargin + i * (8 + kGridMargin); };
  const auto ground = pixel(picture, left(0), top + 8 + kGridMargin);
  const auto bar = pixel(picture, left(2), top + 8 + kGridMargin);
  EXPECT_NE(bar, ground);
  EXPECT_EQ(pixel(picture, left(1) + 3, top + 8 + kGridMargin), bar);
  EXPECT_EQ(pixel(picture, left(1) + 4, top + 8 + kGridMargin), ground);
  EXPECT_EQ(pixel(picture, left(2) + 7, top + 8 + kGridMargin), bar);
  // The frame goes round the image and leaves it whole.
  const auto frame = pixel(picture, left(2) - 1, top + 3);
  EXPECT_NE(frame, ground);
  EXPECT_EQ(pixel(picture, left(2) + 3, top - 1), frame);
  EXPECT_EQ(pixel(picture, left(2), top), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(pixel(picture, left(1) - 1, top + 3), ground);
  // Three bins over the width of the grid: half as high, empty, full.
  const auto foot = top + 8 + kBarHeight + kGridMargin + kHistogramHeight - 1;
  const auto third = (4 * 8 + 3 * kGridMargin) / 3;
  EXPECT_EQ(pixel(picture, left(0), foot), bar);
  EXPECT_EQ(pixel(picture, left(0), foot - kHistogramHeight / 2), ground);
  EXPECT_EQ(pixel(picture, left(0) + third + 1, foot), ground);
  EXPECT_EQ(pixel(picture, left(0) + 2 * third + 1, foot - kHistogramHeight + 1), bar);
}

TEST(Grid, SizesThatDoNotFitAreRefused) {
  const std::vector<float> images(12);
  Panel marked{"", images, 3, {1, 2, 2}, false};
  marked.marks.bars = {0.5f, 1.0f};
  EXPECT_THROW(draw_grid({marked}), Error);
  EXPECT_THROW(draw_grid({}), Error);
  EXPECT_THROW(draw_grid({Panel{"", images, 0, {3, 2, 2}, false}}), Error);
  EXPECT_THROW(draw_grid({Panel{"", images, 2, {3, 2, 2}, false}}), Error);
  EXPECT_THROW(draw_grid({Panel{"", images, 3, {2, 1, 2}, false}}), Error);
}

TEST(Font, EveryPrintableLetterButTheSpaceHasInkAndNoTwoAreAlike) {
  const auto drawn = [](char letter) {
    std::string art;
    for (int y = 0; y < kGlyphHeight; ++y)
      for (int x = 0; x < kGlyphWidth; ++x) art += glyph_pixel(letter, x, y) ? '#' : '.';
    return art;
  };
  std::vector<std::string> seen;
  for (char letter = 33; letter < 127; ++letter) {
    EXPECT_NE(drawn(letter).find('#'), std::string::npos) << letter;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), drawn(letter)), 0) << letter;
    seen.push_back(drawn(letter));
  }
  EXPECT_EQ(drawn(' ').find('#'), std::string::npos);
  EXPECT_EQ(drawn('\xc3'), drawn('\n'));
}

}  // namespace
}  // namespace langrun::launch
