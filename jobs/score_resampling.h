// How far a Frechet distance moves when its images are drawn again.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/frechet.h"
#include "core/interval.h"
#include "distributed/communicator.h"

namespace langrun {

/// One side of a distance: features [n, length] float32 that are drawn again, or, of stored statistics, what they are.
struct ResampledSide {
  at::Tensor features;
  std::optional<FeatureStatistics> fixed;
};

/// Collective, all ranks, which hold the same features: resample r is made by rank r mod R, each side's images drawn
/// with repetition by (seed, side, r), and its distance taken; the interval is around `distance`. The same bits on any
/// number of ranks.
ResampledInterval resample_distance(Communicator& world, const ResampledSide& a, const ResampledSide& b,
                                    double distance, std::int64_t resamples, std::int64_t seed);

/// Images 0 .. count - 1 drawn `count` times with repetition: how often each came, int64 [count]. Keyed by (seed, side,
/// resample).
at::Tensor draws_of(std::int64_t seed, std::uint64_t side, std::int64_t resample, std::int64_t count);

}  // namespace langrun
