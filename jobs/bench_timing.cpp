#include <algorithm>
#include <chrono>
#include <cmath>

#include "jobs/bench.h"

namespace langrun {
namespace {

double seconds_of(const BenchCase& work, std::int64_t times) {
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < times; ++i) work.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

double BenchFigure::median() const {
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const auto n = sorted.size();
  if (n == 0) return 0;
  return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double BenchFigure::low() const { return values.empty() ? 0 : *std::min_element(values.begin(), values.end()); }

double BenchFigure::high() const { return values.empty() ? 0 : *std::max_element(values.begin(), values.end()); }

std::vector<BenchFigure> measure_in_turns(const std::vector<BenchCase>& cases, const std::string& unit,
                                          std::int64_t repeats, double least_seconds) {
  std::vector<BenchFigure> figures;
  std::vector<std::int64_t> times;
  for (const auto& work : cases) {
    seconds_of(work, 1);  // pages, caches, and whatever a library prepares in its first call
    const double once = seconds_of(work, 1);
    times.push_back(once >= least_seconds ? 1 : static_cast<std::int64_t>(std::ceil(least_seconds / (once + 1e-9))));
    figures.push_back({work.what, unit, {}});
  }
  for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto seconds = seconds_of(cases[i], times[i]);
      figures[i].values.push_back(cases[i].work * static_cast<double>(times[i]) / seconds);
    }
  }
  return figures;
}

BenchFigure ratio_of(const BenchFigure& ours, const BenchFigure& theirs) {
  BenchFigure ratio{ours.what + " / " + theirs.what, "x", {}};
  for (std::size_t i = 0; i < ours.values.size(); ++i) ratio.values.push_back(ours.values[i] / theirs.values[i]);
  return ratio;
}

}  // namespace langrun
