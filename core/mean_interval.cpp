#include "core/mean_interval.h"

#include <cmath>
#include <limits>

namespace langrun {
namespace {

/// Probability of [0, t], by Simpson's rule.
double half_probability(double t, double freedom) {
  constexpr int kPieces = 4000;  // even
  const double scale = std::exp(std::lgamma((freedom + 1) / 2) - std::lgamma(freedom / 2)) / std::sqrt(freedom * M_PI);
  const auto density = [&](double x) { return std::pow(1 + x * x / freedom, -(freedom + 1) / 2); };
  const double step = t / kPieces;
  double sum = density(0) + density(t);
  for (int i = 1; i < kPieces; ++i) sum += (i % 2 == 1 ? 4 : 2) * density(i * step);
  return scale * sum * step / 3;
}

}  // namespace

double student_t95(std::int64_t freedom) {
  double low = 1.9, high = 13;  // 12.7062 for one degree, 1.95996 for infinitely many
  while (high - low > 1e-9) {
    const double middle = (low + high) / 2;
    (half_probability(middle, static_cast<double>(freedom)) < 0.475 ? low : high) = middle;
  }
  return (low + high) / 2;
}

MeanInterval mean_interval(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const auto value : values) sum += value;
  const double mean = sum / n;
  for (const auto value : values) squares += (value - mean) * (value - mean);
  if (values.size() < 2)
    return {mean, -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  const double half = student_t95(static_cast<std::int64_t>(values.size()) - 1) * std::sqrt(squares / (n - 1) / n);
  return {mean, mean - half, mean + half};
}

}  // namespace langrun
