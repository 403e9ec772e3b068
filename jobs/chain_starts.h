// Where new chains come from: latents, uniform noise or data, all keyed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/images.h"
#include "core/noise.h"
#include "jobs/training_data.h"

namespace langrun {

/// z ~ N(0, I) for slots [b] in a step: [b, nz]. Like the two below a function of (key, slot, step) alone.
at::Tensor fresh_latents(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key, std::int64_t length);
/// Uniform noise in [-1, 1]: [b, C, H, W].
at::Tensor uniform_images(const ImageShape& image, const std::vector<std::uint64_t>& slots, std::int64_t step,
                          NoiseKey key);
/// Data images drawn at random, with replacement: [b, C, H, W].
at::Tensor data_images(TrainingData& data, const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key);

}  // namespace langrun
