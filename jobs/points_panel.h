// Points of the plane as a picture: what a panel shows where images have one pixel of two channels.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/images.h"
#include "jobs/training.h"

namespace langrun {

/// Whether images of this shape are points of the plane.
bool are_points(const ImageShape& image);

/// How many images a picture takes of a batch: 64, or of points enough for a histogram.
std::int64_t pictured_images(const ImageShape& image);

/// Bytes of one image of a sample as it is handed over and stored: 8 bits a value, of points float32.
std::size_t sample_bytes(const ImageShape& image);

/// A histogram of points [n, 2] over [-1.2, 1.2]^2, y upwards, as one image of 256 x 256 (128 x 128 squares):
/// bright where there are many, on a logarithmic scale up to the fullest square. Points outside go to the border's
/// squares; those that are not finite are left out, and the title says how many.
Panel points_panel(const std::string& title, std::span<const float> points);

}  // namespace langrun
