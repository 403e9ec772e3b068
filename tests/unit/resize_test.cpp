#include "core/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "core/error.h"
#include "core/resample.h"

namespace langrun {
namespace {

using Octets = std::vector<std::uint8_t>;

TEST(Resize, ExtentsFollowTheShortSide) {
  const auto check = [](std::int64_t h, std::int64_t w, std::int64_t size, std::int64_t height, std::int64_t width) {
    const auto extent = short_side_extent(h, w, size);
    EXPECT_EQ(extent.height, height);
    EXPECT_EQ(extent.width, width);
  };
  check(375, 500, 128, 128, 170);
  check(500, 375, 128, 170, 128);
  check(218, 178, 64, 78, 64);
  check(32, 32, 32, 32, 32);
  check(10, 11, 224, 224, 246);
}

TEST(Resize, SameExtentIsUntouched) {
  Raster image{2, 3, 3, Octets(18)};
  for (std::size_t i = 0; i < 18; ++i) image.pixels[i] = static_cast<std::uint8_t>(i * 13);
  EXPECT_EQ(resize(image, {2, 3}), image);
}

TEST(Resize, HalvingUsesTheTriangleFilter) {
  const std::vector<double> row{0, 16, 240, 80, 160, 32, 200, 64};
  Raster image{1, 8, 1, {}};
  for (const auto value : row) image.pixels.push_back(static_cast<std::uint8_t>(value));
  const auto half = resize(image, {1, 4});
  ASSERT_EQ(half.width, 4);
  // Inside, the four nearest pixels weigh 1, 3, 3, 1 eighths; at the ends three are left, weighing 3, 3, 1 sevenths.
  const auto inner = [&](std::size_t first) {
    return std::nearbyint((row[first] + 3 * row[first + 1] + 3 * row[first + 2] + row[first + 3]) / 8);
  };
  EXPECT_EQ(half.pixels[0], std::nearbyint((3 * row[0] + 3 * row[1] + row[2]) / 7));
  EXPECT_EQ(half.pixels[1], inner(1));
  EXPECT_EQ(half.pixels[2], inner(3));
  EXPECT_EQ(half.pixels[3], std::nearbyint((row[5] + 3 * row[6] + 3 * row[7]) / 7));
}

TEST(Resize, ChannelsStayApart) {
  Raster image{40, 60, 3, {}};
  for (int i = 0; i < 40 * 60; ++i) image.pixels.insert(image.pixels.end(), {10, 100, 250});
  const auto small = resize(image, {7, 11});
  ASSERT_EQ(small.pixels.size(), 7U * 11 * 3);
  for (std::size_t i = 0; i < small.pixels.size(); i += 3) {
    EXPECT_EQ(small.pixels[i], 10);
    EXPECT_EQ(small.pixels[i + 1], 100);
    EXPECT_EQ(small.pixels[i + 2], 250);
  }
}

Raster scrambled(std::int64_t height, std::int64_t width, std::int64_t channels = 3) {
  Raster image{height, width, channels, {}};
  for (std::uint32_t i = 0; i < image.bytes(); ++i)
    image.pixels.push_back(static_cast<std::uint8_t>((i * 2654435761U) >> 24));
  return image;
}

TEST(Resize, AWindowIsWhatTheWholeHasThere) {
  for (const auto& [height, width, size] : {std::tuple{37, 53, 16}, {64, 48, 24}, {9, 11, 30}, {16, 20, 16}}) {
    for (const std::int64_t channels : {1, 3}) {
      const auto image = scrambled(height, width, channels);
      const auto extent = short_side_extent(height, width, size);
      const auto whole = resize(image, extent);
      const std::int64_t top = extent.height - size, left = extent.width - size;
      Raster part;
      resize_window(image, extent, {top, left, size, size}, part);
      EXPECT_EQ(part, crop(whole, {top, left}, size)) << height << " x " << width;
      EXPECT_THROW(resize_window(image, extent, {top + 1, left, size, size}, part), Error);
    }
  }
}

TEST(Resize, EveryInstructionSetGivesTheSameBits) {
  const auto image = scrambled(1, 201);
  auto row = image.pixels;
  row.push_back(0);
  const auto kernels = resample_kernels();
  for (const std::int64_t width : {7, 100, 201, 333}) {
    const Filter filter(201, width, 0, width);
    std::vector<std::vector<float>> across;
    std::vector<Octets> down;
    for (const auto& kernel : kernels) {
      std::vector<float> out(static_cast<std::size_t>(width) * 3 + 1);
      kernel.across(filter, row.data(), out.data());
      out.pop_back();
      Octets bytes(out.size());
      const float weights[3] = {0.3F, 0.5F, 1.9F};
      const float* rows[3] = {out.data(), out.data(), out.data()};
      kernel.down(rows, weights, 3, static_cast<std::int64_t>(out.size()), bytes.data());
      EXPECT_NE(std::find(bytes.begin(), bytes.end(), 255), bytes.end()) << "clamped";
      across.push_back(std::move(out));
      down.push_back(std::move(bytes));
    }
    for (std::size_t k = 1; k < kernels.size(); ++k) {
      EXPECT_EQ(across[k], across[0]) << kernels[k].name;
      EXPECT_EQ(down[k], down[0]) << kernels[k].name;
    }
  }
}

TEST(Resize, FiltersAreNormalisedAndStayWithin) {
  for (const auto& [input, output] : {std::pair<std::int64_t, std::int64_t>{375, 128}, {5, 224}, {300, 1}, {1, 7}}) {
    const Filter filter(input, output, 0, output);
    ASSERT_EQ(filter.spans.size(), static_cast<std::size_t>(output));
    for (const auto& span : filter.spans) {
      ASSERT_GE(span.first, 0);
      ASSERT_GE(span.count, 1);
      ASSERT_LE(span.first + span.count, input);
      double sum = 0;
      for (std::int64_t tap = 0; tap < span.count; ++tap)
        sum += filter.weights[span.weights + static_cast<std::size_t>(tap)];
      EXPECT_NEAR(sum, 1, 1e-5);
    }
  }
}

TEST(Resize, RefusesResultsBeyondMemory) {
  EXPECT_THROW(resize(Raster{1, 100000, 3, Octets(300000)}, {4096, 409600000}), Error);
}

TEST(Crop, MiddleRoundsToEven) {
  EXPECT_EQ(center_crop({128, 170}, 128).left, 21);
  EXPECT_EQ(center_crop({129, 128}, 128).top, 0);  // a half goes to 0
  EXPECT_EQ(center_crop({131, 128}, 128).top, 2);  // one and a half to 2
}

TEST(Crop, TakesTheWindow) {
  Raster image{4, 5, 1, {}};
  for (std::uint8_t i = 0; i < 20; ++i) image.pixels.push_back(i);
  EXPECT_EQ(crop(image, {1, 2}, 2).pixels, (Octets{7, 8, 12, 13}));
  EXPECT_THROW(crop(image, {3, 0}, 2), Error);
}

TEST(Crop, RandomOnesAreKeyedAndReachEveryPlace) {
  const Extent extent{8, 11};
  std::set<std::pair<std::int64_t, std::int64_t>> places;
  for (std::uint64_t index = 0; index < 300; ++index) {
    const auto offset = random_crop(extent, 8, 5, index, 0);
    EXPECT_EQ(offset.top, 0);
    ASSERT_GE(offset.left, 0);
    ASSERT_LE(offset.left, 3);
    EXPECT_EQ(random_crop(extent, 8, 5, index, 0).left, offset.left);
    places.emplace(offset.left, random_crop(extent, 8, 5, index, 1).left);
  }
  EXPECT_EQ(places.size(), 16U);  // copies are independent of each other
}

}  // namespace
}  // namespace langrun
