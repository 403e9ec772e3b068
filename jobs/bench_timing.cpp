#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>

#include "jobs/bench.h"

namespace langrun {
namespace {

struct Elapsed {
  double wall, core;
};

double core_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Of the slowest rank; all begin together.
Elapsed seconds_of(const BenchCase& work, std::int64_t times, Communicator& world) {
  world.barrier("benchmark");
  const double core = core_seconds();
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < times; ++i) work.run();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::array<std::int64_t, 2> slowest{std::llround(1e9 * wall), std::llround(1e9 * (core_seconds() - core))};
  world.maximum("benchmark", slowest);
  if (work.after) work.after();
  return {1e-9 * static_cast<double>(slowest[0]), 1e-9 * static_cast<double>(std::max<std::int64_t>(slowest[1], 1))};
}

std::vector<double> quotients(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result;
  for (std::size_t i = 0; i < a.size(); ++i) result.push_back(a[i] / b[i]);
  return result;
}

}  // namespace

BenchSpread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto n = values.size();
  return {(values[n / 2] + values[(n - 1) / 2]) / 2, values.front(), values.back()};
}

std::vector<BenchFigure> measure_in_turns(const std::vector<BenchCase>& cases, const std::string& unit,
                                          std::int64_t repeats, double least_seconds, Communicator& world) {
  std::vector<BenchFigure> figures;
  std::vector<std::int64_t> times;
  for (const auto& work : cases) {
    figures.push_back({work.what, unit, {}, {}});
    if (work.warm_up) {
      work.warm_up();
      times.push_back(1);
      continue;
    }
    (void)seconds_of(work, 1, world);  // pages, caches, and whatever a library prepares in its first call
    const double once = seconds_of(work, 1, world).wall;
    times.push_back(
        work.after || once >= least_seconds ? 1 : static_cast<std::int64_t>(std::ceil(least_seconds / (once + 1e-9))));
  }
  for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto seconds = seconds_of(cases[i], times[i], world);
      const double work = cases[i].work * static_cast<double>(times[i] * world.size());
      figures[i].values.push_back(work / seconds.wall);
      figures[i].per_core_second.push_back(work / seconds.core);
    }
  }
  return figures;
}

BenchFigure ratio_of(const BenchFigure& ours, const BenchFigure& theirs) {
  return {ours.what + " / " + theirs.what, "x", quotients(ours.values, theirs.values),
          quotients(ours.per_core_second, theirs.per_core_second)};
}

}  // namespace langrun
