#include "core/interval.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace langrun {
namespace {

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

ResampledInterval resampled_interval(double value, std::vector<double> resampled) {
  if (resampled.size() < 2) throw Error(ExitCode::internal, "an interval wants two resamples or more");
  const auto count = static_cast<double>(resampled.size());
  ResampledInterval interval;
  interval.mean = std::accumulate(resampled.begin(), resampled.end(), 0.0) / count;
  double squares = 0;
  for (const double r : resampled) squares += (r - interval.mean) * (r - interval.mean);
  interval.standard_error = std::sqrt(squares / (count - 1));
  std::sort(resampled.begin(), resampled.end());
  interval.low = std::max(0.0, value + quantile(resampled, 0.025) - interval.mean);
  interval.high = value + quantile(resampled, 0.975) - interval.mean;
  return interval;
}

}  // namespace langrun
