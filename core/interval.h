// Intervals from resampling (Efron 1979, "Bootstrap methods: another look at the jackknife").
#pragma once

#include <vector>

namespace langrun {

struct ResampledInterval {
  double low = 0, high = 0;   ///< 95 % of the resamples' spread, laid around the value
  double standard_error = 0;  ///< standard deviation over resamples
  double mean = 0;            ///< of the resamples themselves, as they came out
};

/// The interval of a `value` that came out as `resampled` when its samples were drawn again, with repetition. A figure
/// that is biased by the count of different samples, as a Frechet distance is, comes out higher with repetitions than
/// the value itself; so the 2.5 % and 97.5 % quantiles (linear between values) are shifted by value - mean. `low` is
/// not below zero. Throws Error(internal) for fewer than two resamples.
ResampledInterval resampled_interval(double value, std::vector<double> resampled);

}  // namespace langrun
