// Where new chains come from: latents, uniform noise or data, all keyed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/images.h"
#include "core/noise.h"
#include "jobs/run_keys.h"
#include "jobs/shortrun.h"
#include "jobs/training_data.h"

namespace langrun {

struct FreshChains {
  at::Tensor images;   ///< [b, C, H, W] float32
  at::Tensor latents;  ///< [b, nz] float32; nz = 0 where chains have none
};

class ChainStarts {
 public:
  ChainStarts(ChainStart start, const RunKeys& keys, TrainingData& data, const ImageShape& image)
      : start_(start), keys_(keys), data_(data), image_(image) {}

  /// z ~ N(0, I) for slots [b] in a step: [b, nz]. A function of (key, slot, step) alone.
  at::Tensor fresh_latents(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key,
                           std::int64_t length) const;
  /// Images from uniform noise in [-1, 1], or from data images drawn at random, for starts without a generator.
  FreshChains fresh_images(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) const;

 private:
  ChainStart start_;
  const RunKeys& keys_;
  TrainingData& data_;
  ImageShape image_;
};

}  // namespace langrun
