#include "core/auroc.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/wilson.h"

namespace langrun {
namespace {

constexpr double kNormal95 = 1.959963984540054;

std::vector<float> sorted(std::span<const float> values) {
  std::vector<float> copy(values.begin(), values.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

/// Twice the number of `others` (sorted) below `value`, ties counted half: a whole number.
std::int64_t twice_below(const std::vector<float>& others, float value) {
  const auto [first, last] = std::equal_range(others.begin(), others.end(), value);
  return (first - others.begin()) + (last - others.begin());
}

/// Mean squared distance of placements from their mean, over n - 1.
double variance(const std::vector<double>& placements, double mean) {
  if (placements.size() < 2) return 0;
  double sum = 0;
  for (const double p : placements) sum += (p - mean) * (p - mean);
  return sum / static_cast<double>(placements.size() - 1);
}

Auroc interval(double value, double deviation, std::size_t fewest) {
  if (!(deviation > 0) || value <= 0 || value >= 1) {
    const auto trials = static_cast<std::int64_t>(fewest);
    const auto share = wilson_interval(std::llround(value * static_cast<double>(trials)), trials);
    return {value, std::min(share.low, value), std::max(share.high, value)};
  }
  const double centre = std::log(value / (1 - value)), half = kNormal95 * deviation / (value * (1 - value));
  const auto back = [](double logit) { return 1 / (1 + std::exp(-logit)); };
  return {value, back(centre - half), back(centre + half)};
}

}  // namespace

Auroc auroc(std::span<const float> in, std::span<const float> out) {
  if (in.empty() || out.empty()) throw Error(ExitCode::input, "an AUROC needs samples on both sides");
  for (const auto& side : {in, out})
    for (const float value : side)
      if (!std::isfinite(value)) throw Error(ExitCode::diverged, fmt::format("an energy is {}", value));
  const auto ins = sorted(in), outs = sorted(out);
  const auto n = static_cast<double>(in.size()), m = static_cast<double>(out.size());
  // Counts are whole numbers, so that the value is exact but for one division.
  std::int64_t twice = 0;
  std::vector<double> of_out, of_in;
  for (const float value : out) {
    const auto below = twice_below(ins, value);
    twice += below;
    of_out.push_back(static_cast<double>(below) / (2 * n));
  }
  for (const float value : in) of_in.push_back(1 - static_cast<double>(twice_below(outs, value)) / (2 * m));
  const double value = static_cast<double>(twice) / (2 * n * m);
  const double deviation = std::sqrt(variance(of_out, value) / m + variance(of_in, value) / n);
  return interval(value, deviation, std::min(in.size(), out.size()));
}

}  // namespace langrun
