// Lanes (design invariant 1): the global batch and every bank are split into L lanes, and each rank runs a block of
// them, always in the same tensor shape. The mathematics knows L and never the number of ranks, so the bits are the
// same on 1, 2, 4 or L ranks.
#pragma once

#include <cstdint>

namespace langrun {

/// The lanes of one rank: first .. first + owned - 1 of `count`.
struct Lanes {
  std::int64_t count = 8;
  std::int64_t first = 0;
  std::int64_t owned = 8;

  /// Number of slots of lane `lane` in a bank of `size`: it owns slots s with s mod L = lane.
  std::int64_t rows(std::int64_t lane, std::int64_t size) const { return (size - lane + count - 1) / count; }
  /// Slot that row `row` of lane `lane` holds.
  std::int64_t slot(std::int64_t lane, std::int64_t row) const { return lane + count * row; }
};

/// The lanes of `rank` among `ranks`. Throws Error(usage) unless `count` is a power of two that `ranks` divides.
Lanes lanes_of(std::int64_t count, int rank, int ranks);
/// Samples a lane takes of a batch. Throws Error(usage) unless `count` divides `batch`.
std::int64_t lane_batch(std::int64_t batch, std::int64_t count);

}  // namespace langrun
