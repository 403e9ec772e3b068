// Samples: chains of any source under any trained energy, as 8-bit images.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/images.h"
#include "distributed/communicator.h"
#include "jobs/sample_config.h"

namespace langrun {

/// Where samples go. Called on rank 0 alone.
struct SampleSink {
  /// Once, before the first image: how many there will be.
  std::function<void(std::int64_t count)> begin;
  /// Images [n, H, W, C] as they come, uint8 or (points of the plane) the bytes of float32, in order: `first` is the
  /// index of the first one.
  std::function<void(std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images)> add;
};

/// Collective, all ranks: block b of the samples (chain_blocks.h) is made by rank b mod R, walked langevin.steps steps
/// and handed to rank 0 in order. Throws Error(input) where energy or source cannot be read or do not fit each other,
/// Error(diverged) on non-finite chains.
void sample_images(const SampleConfig& config, Communicator& world, const SampleSink& sink);

}  // namespace langrun
