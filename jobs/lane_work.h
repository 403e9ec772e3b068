// What one lane carries through a training step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/langevin.h"

namespace langrun {

struct LaneWork {
  std::int64_t lane = 0;
  std::vector<std::int64_t> rows;         ///< of the bank, as drawn; empty without a bank
  std::vector<std::uint64_t> slots;       ///< bank slots, or places in the batch without a bank
  std::vector<std::uint8_t> rejuvenated;  ///< per sample
  at::Tensor latents, host_latents;       ///< [b, nz]; the second in host memory
  at::Tensor data;                        ///< [b, C, H, W], noise added
  at::Tensor chains;                      ///< [b, C, H, W], starts before sampling, chains after
  SampledChains sampled;                  ///< to be read once the sampler has finished
};

}  // namespace langrun
