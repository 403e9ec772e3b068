// Intervals for means of a few independent values.
#pragma once

#include <cstdint>
#include <span>

namespace langrun {

/// Mean and its two-sided 95 % interval by Student's t; of a single value the interval is infinite.
struct MeanInterval {
  double mean = 0, low = 0, high = 0;
};
MeanInterval mean_interval(std::span<const double> values);

/// The t for which a variable of Student's distribution with `freedom` degrees lies in [-t, t] with probability .95, to
/// 1e-6.
double student_t95(std::int64_t freedom);

}  // namespace langrun
