// What a pool of chains has cost, without the pool's headers.
#pragma once

#include <cstdint>

namespace langrun {

/// What was computed, for guards and reports.
struct PoolCounts {
  std::uint64_t calls = 0;      ///< of the energy's gradient, each of one call's shape
  std::uint64_t moves = 0;      ///< steps that chains made in them
  std::uint64_t waiting = 0;    ///< places of calls in which nothing moved
  std::uint64_t curvature = 0;  ///< calls of the energy's curvature
};

}  // namespace langrun
