// Fitting an image to S x S, as published ImageNet and Celeb-A set-ups do: short side to S, then a crop.
#pragma once

#include <cstdint>

#include "core/raster.h"

namespace langrun {

/// Which S x S window of the resized image is kept.
struct CropOffset {
  std::int64_t top = 0;
  std::int64_t left = 0;
};

/// Extents of an image after its short side went to `size`; the long side is size * long / short, rounded down, as
/// torchvision does it.
struct Extent {
  std::int64_t height = 0;
  std::int64_t width = 0;
};
Extent short_side_extent(std::int64_t height, std::int64_t width, std::int64_t size);

/// The middle window; half a pixel goes to the even side, as torchvision does it.
CropOffset center_crop(Extent extent, std::int64_t size);

/// A window drawn evenly over all places, a pure function of (seed, image index, copy): Stream::crop.
CropOffset random_crop(Extent extent, std::int64_t size, std::uint64_t seed, std::uint64_t index, std::uint32_t copy);

/// A part of an image.
struct Window {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
};

/// Throws Error(input) where an image of height x width would come to more than 2^27 pixels.
void check_resized_extent(std::int64_t height, std::int64_t width, Extent extent);

/// Antialiased bilinear resize of uint8 [H, W, C] to `extent` in float32, rounded half to even to 8 bits. An image that
/// has the extent already is returned as it is. Same bits on every machine. Throws as check_resized_extent.
Raster resize(const Raster& image, Extent extent);

/// What lies within `window` of the image resized to `extent`, into `out`, whose memory is used again: the same bits as
/// the resized image has there, without making the rest. Throws Error(internal) where the window does not lie within.
void resize_window(const Raster& image, Extent extent, Window window, Raster& out);

/// The size x size window at `offset`. Throws Error(internal) where it does not lie within the image.
Raster crop(const Raster& image, CropOffset offset, std::int64_t size);

}  // namespace langrun
