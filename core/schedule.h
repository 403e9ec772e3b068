// Step-wise learning rates.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace langrun {

/// A learning rate that drops at stated steps; one of 0 has nowhere to fall and stays 0.
struct Schedule {
  double start = 1e-4;
  std::vector<std::pair<std::int64_t, double>> drops;  ///< (step from which it holds, rate), steps rising

  /// The rate of training step `step` (the first is 1): "1e-5 from step 50k" holds from step 50001 on, after 50k
  /// finished ones.
  double at(std::int64_t step) const;
};

/// Reads "50000:1e-5,75000:1e-6" (empty: no drops). Throws Error(usage) where it is malformed or steps do not rise.
Schedule parse_schedule(double start, const std::string& drops);

}  // namespace langrun
