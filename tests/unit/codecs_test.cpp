#include "data/codecs.h"

#include <gtest/gtest.h>
#include <png.h>

#include <algorithm>
#include <cstring>

#include "data/image_source.h"
#include "data/synth.h"
#include "import_support.h"
#include "jpeg_fixtures.h"

namespace langrun {
namespace {

using test::code_of;
using test::Octets;
constexpr int kInput = static_cast<int>(ExitCode::input);

int at(const Raster& image, std::int64_t y, std::int64_t x, std::int64_t c) {
  return image.pixels[static_cast<std::size_t>((y * image.width + x) * image.channels + c)];
}

/// A PNG of any kind: rows are given packed, as libpng takes them.
class PngMaker {
 public:
  PngMaker(unsigned width, unsigned height, int depth, int colour)
      : width_(width), height_(height), depth_(depth), colour_(colour) {}
  std::vector<png_color> palette;
  Octets transparency;

  Octets header_only() { return make({}); }
  Octets make(const std::vector<Octets>& rows) {
    Octets out;
    auto png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    auto info = png_create_info_struct(png);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);
    png_set_write_fn(
        png, &out,
        [](png_structp p, png_bytep data, std::size_t count) {
          auto& bytes = *static_cast<Octets*>(png_get_io_ptr(p));
          bytes.insert(bytes.end(), data, data + count);
        },
        nullptr);
    png_set_IHDR(png, info, width_, height_, depth_, colour_, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (!palette.empty()) png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
    if (!transparency.empty())
      png_set_tRNS(png, info, transparency.data(), static_cast<int>(transparency.size()), nullptr);
    png_write_info(png, info);
    for (const auto& row : rows) png_write_row(png, row.data());
    if (!rows.empty()) png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return out;
  }

 private:
  unsigned width_, height_;
  int depth_, colour_;
};

TEST(Codecs, KindIsToldByContent) {
  EXPECT_EQ(sniff_image(test::colour_jpeg()), ImageFormat::jpeg);
  EXPECT_EQ(sniff_image(test::marked_png(1)), ImageFormat::png);
  const Octets gif{'G', 'I', 'F', '8', '9', 'a', 0, 0};
  EXPECT_EQ(sniff_image(gif), ImageFormat::unknown);
  std::string message;
  EXPECT_EQ(code_of([&] { decode_image(gif); }, &message), kInput);
  EXPECT_EQ(message, "not an image: a GIF image");
  EXPECT_EQ(code_of([&] { decode_image(Octets{'h', 'e', 'l', 'l', 'o', '\n'}); }, &message), kInput);
  EXPECT_EQ(message, "not an image: text");
  EXPECT_EQ(code_of([&] { decode_image(Octets{}); }), kInput);
}

TEST(Jpeg, ColourIsNearWhatWasEncoded) {
  const auto image = decode_image(test::colour_jpeg());
  ASSERT_EQ(image.height, 16);
  ASSERT_EQ(image.width, 24);
  ASSERT_EQ(image.channels, 3);
  for (std::int64_t y = 0; y < 16; ++y)
    for (std::int64_t x = 0; x < 24; ++x) {
      EXPECT_NEAR(at(image, y, x, 0), x * 10, 12);
      EXPECT_NEAR(at(image, y, x, 1), y * 15, 12);
      EXPECT_NEAR(at(image, y, x, 2), 255 - x * 10, 12);
    }
}

TEST(Jpeg, GreyBecomesRgb) {
  const auto image = decode_image(test::grey_jpeg());
  ASSERT_EQ(image.bytes(), 16U * 24 * 3);
  for (std::int64_t x = 0; x < 24; ++x) {
    EXPECT_NEAR(at(image, 3, x, 0), x * 10, 8);
    EXPECT_EQ(at(image, 3, x, 0), at(image, 3, x, 1));
    EXPECT_EQ(at(image, 3, x, 0), at(image, 3, x, 2));
  }
}

TEST(Jpeg, CmykBecomesRgb) {
  const auto image = decode_image(test::cmyk_jpeg());
  ASSERT_EQ(image.channels, 3);
  const int light[3] = {204, 153, 51};
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(at(image, 0, 0, c), light[c], 6);
    EXPECT_NEAR(at(image, 7, 7, c), light[c] / 2, 6);
  }
}

TEST(Jpeg, EveryCutIsAnError) {
  const auto& whole = test::colour_jpeg();
  // The last two bytes are the end mark; libjpeg makes one up, with a warning.
  for (std::size_t length = 0; length < whole.size(); length += 1 + length / 16)
    EXPECT_EQ(code_of([&] { decode_image(Bytes(whole).first(length)); }), kInput) << length;
  EXPECT_EQ(code_of([&] { decode_image(Bytes(whole).first(whole.size() - 2)); }), kInput);
}

TEST(Jpeg, StrayBytesBeforeTheEndAreHarmless) {
  auto bytes = test::colour_jpeg();
  bytes.insert(bytes.end() - 2, {1, 2, 3});
  EXPECT_EQ(decode_image(bytes), decode_image(test::colour_jpeg()));
}

TEST(Jpeg, ScaledDecodingKeepsTheShortSide) {
  const auto scaled = [](std::int64_t side) { return decode_image(test::colour_jpeg(), {side}); };
  EXPECT_EQ(scaled(16).height, 16);
  EXPECT_EQ(scaled(9).height, 16);
  EXPECT_EQ(scaled(8).height, 8);
  EXPECT_EQ(scaled(8).width, 12);
  EXPECT_EQ(scaled(1).height, 2);
  EXPECT_NEAR(at(scaled(8), 4, 6, 0), 125, 15);
}

TEST(Jpeg, ScalesAreHalvesThatLeaveEnough) {
  const auto bytes = encode_jpeg(synthetic_image(1, 0, 100), 90);
  Decoded decoded;
  for (const auto& [wanted, part, side] : {std::tuple{0, 1, 100},
                                           {51, 1, 100},
                                           {50, 2, 50},
                                           {26, 2, 50},
                                           {25, 4, 25},
                                           {13, 8, 13},
                                           {14, 4, 25},
                                           {1, 8, 13},
                                           {200, 1, 100}}) {
    decode_image(bytes, {wanted}, decoded);
    EXPECT_EQ(decoded.part, part) << wanted;
    EXPECT_EQ(decoded.raster.height, side) << wanted;
    EXPECT_EQ(decoded.raster.pixels.size(), decoded.raster.bytes());
    EXPECT_EQ(decoded.height, 100);
    EXPECT_EQ(decoded.width, 100);
  }
  decode_image(test::marked_png(5, 70, 90), {8}, decoded);
  EXPECT_EQ(decoded.part, 1) << "PNGs are decoded in full";
  EXPECT_EQ(decoded.raster, test::marked_raster(5, 70, 90));
}

TEST(Jpeg, RealFilesDecode) {
  const auto tar = test::shared_data() / "cifar10-jpeg-test.tar";
  if (!std::filesystem::exists(tar)) GTEST_SKIP() << "no " << tar;
  const auto source = find_images(tar);
  ASSERT_EQ(source.entries.size(), 5000U);
  ASSERT_EQ(source.classes.size(), 10U);
  EXPECT_EQ(source.classes.front(), "airplane");
  SourceReader reader(source, 2490, 2510);
  SourceReader::Item item;
  for (std::uint64_t index = 2490; index < 2510; ++index) {
    ASSERT_TRUE(reader.next(item));
    EXPECT_EQ(item.index, index);
    EXPECT_EQ(decode_image(item.bytes).bytes(), 32U * 32 * 3);
    const auto half = Bytes(item.bytes).first(item.bytes.size() / 2);
    EXPECT_EQ(code_of([&] { decode_image(half); }), kInput);
  }
  EXPECT_FALSE(reader.next(item));
}

TEST(Png, RoundTripOfRgb) { EXPECT_EQ(decode_image(test::marked_png(5, 7, 9)), test::marked_raster(5, 7, 9)); }

TEST(Png, EveryGreyDepthBecomesEightBits) {
  for (const int depth : {1, 2, 4, 8}) {
    // Two pixels: darkest and brightest.
    const int brightest = (1 << depth) - 1;
    const Octets row = depth == 8 ? Octets{0, 255} : Octets{static_cast<std::uint8_t>(brightest << (8 - 2 * depth))};
    const auto image = decode_image(PngMaker(2, 1, depth, PNG_COLOR_TYPE_GRAY).make({row}));
    ASSERT_EQ(image.bytes(), 6U) << depth;
    EXPECT_EQ(image.pixels, (Octets{0, 0, 0, 255, 255, 255})) << depth;
  }
  // 16 bits are scaled, not cut: 0x01f0 / 257 is nearer to 2 than to 1.
  const auto deep = decode_image(PngMaker(2, 1, 16, PNG_COLOR_TYPE_GRAY).make({{0x01, 0xf0, 0xff, 0xff}}));
  EXPECT_EQ(deep.pixels, (Octets{2, 2, 2, 255, 255, 255}));
}

TEST(Png, PaletteAndTransparencyOnBlack) {
  PngMaker maker(3, 1, 8, PNG_COLOR_TYPE_PALETTE);
  maker.palette = {{10, 20, 30}, {200, 100, 50}, {255, 255, 255}};
  maker.transparency = {255, 128, 0};
  EXPECT_EQ(decode_image(maker.make({{0, 1, 2}})).pixels, (Octets{10, 20, 30, 100, 50, 25, 0, 0, 0}));
  const auto rgba = PngMaker(2, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA).make({{255, 100, 0, 255, 255, 100, 0, 51}});
  EXPECT_EQ(decode_image(rgba).pixels, (Octets{255, 100, 0, 51, 20, 0}));
}

TEST(Png, EveryCutIsAnError) {
  const auto whole = test::marked_png(3);
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_EQ(code_of([&] { decode_image(Bytes(whole).first(length)); }), kInput) << length;
}

TEST(Png, AFlippedByteIsAnError) {
  const auto whole = test::marked_png(3);
  // From the header's content to the end of the pixels, all is under checksums.
  for (std::size_t i = 16; i + 12 < whole.size(); i += 5) {
    auto bytes = whole;
    bytes[i] ^= 0x10;
    EXPECT_EQ(code_of([&] { decode_image(bytes); }), kInput) << i;
  }
}

TEST(Png, HugeExtentsAreRefusedBeforeMemoryIsTaken) {
  std::string message;
  EXPECT_EQ(code_of([&] { decode_image(PngMaker(60000, 60000, 8, PNG_COLOR_TYPE_RGB).header_only()); }, &message),
            kInput);
  EXPECT_NE(message.find("at most"), std::string::npos) << message;
}

}  // namespace
}  // namespace langrun
