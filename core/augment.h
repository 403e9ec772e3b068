// What is done to a classifier's training images, keyed by their position in the data stream.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/noise_key.h"

namespace langrun {

/// Images [b, C, H, W] float32 in [-1, 1], each moved by up to `reach` pixels either way in both directions; what moves
/// in from outside is black (-1), as where an image is padded and cut out again. Image i of the batch has the position
/// `first` + i, and its shift depends on that and the key alone. Returns new images, channels-last.
at::Tensor shifted(const at::Tensor& images, std::int64_t reach, NoiseKey key, std::uint64_t first);

}  // namespace langrun
