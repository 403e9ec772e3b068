#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/error.h"
#include "core/noise.h"
#include "distributed/lanes.h"
#include "distributed/time_limit.h"
#include "distributed/tree_reducer.h"
#include "distributed/tree_sum.h"
#include "jobs/bench.h"

namespace langrun {
namespace {

// One rank's lanes through our reduction. What stands in the lanes is 0, so that no repeat meets other numbers.
void tree_sum(Reducer& reducer, std::int64_t lanes) {
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    reducer.lane();
    reducer.add();
  }
  reducer.finalize();
}

// The same by a plain loop and the library's own sum.
void library_sum(Communicator& world, std::vector<std::vector<float>>& lanes) {
  for (std::size_t lane = 1; lane < lanes.size(); ++lane) add_into(lanes[0], lanes[lane]);
  world.sum_in_library_order("benchmark: library", lanes[0]);
}

// Both must give the same sum, or the ratio means nothing.
void check_same_sum(Communicator& world, Reducer& reducer, std::int64_t owned) {
  std::vector<std::vector<float>> lanes(static_cast<std::size_t>(owned), std::vector<float>(reducer.elements()));
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    fill_normal(noise_key(1, Stream::sample), {static_cast<std::uint64_t>(world.rank()) * 4096 + lane, 0}, lanes[lane]);
    std::copy(lanes[lane].begin(), lanes[lane].end(), reducer.lane().begin());
    reducer.add();
  }
  const auto ours = reducer.finalize();
  library_sum(world, lanes);
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) wrong += !(std::abs(ours[i] - lanes[0][i]) < 1e-3f);
  world.maximum("benchmark: sums agree", {&wrong, 1});
  if (wrong > 0)
    throw Error(ExitCode::internal, fmt::format("bench exchange: {} of {} sums are wrong", wrong, ours.size()));
}

void clear(Reducer& reducer, std::int64_t owned) {
  for (std::int64_t lane = 0; lane < owned; ++lane) {
    std::ranges::fill(reducer.lane(), 0.0f);
    reducer.add();
  }
  reducer.finalize();
}

// Ours and the library's for one number of lanes, added to the report.
void measure(const BenchConfig& config, Communicator& world, std::int64_t owned, BenchReport& report) {
  const auto elements = static_cast<std::size_t>(config.megabytes) * 1'000'000 / sizeof(float);
  const Lanes lanes{owned * world.size(), owned * world.rank(), owned};
  TreeReducer reducer(world, lanes, elements, "benchmark: tree");
  check_same_sum(world, reducer, owned);
  for (int turn = 0; turn < 2; ++turn) clear(reducer, owned);  // every vector it holds: they take turns
  std::vector<std::vector<float>> plain(static_cast<std::size_t>(owned), std::vector<float>(elements));
  const auto before = world.traffic();
  tree_sum(reducer, owned);
  const auto after = world.traffic();
  const auto what = fmt::format("{} lane{}", owned, owned == 1 ? "" : "s");
  report.settings.emplace_back(fmt::format("bytes sent, {}", what),
                               std::to_string(after.bytes_sent - before.bytes_sent));
  report.settings.emplace_back(fmt::format("collectives, {}", what), std::to_string(after.sums - before.sums));
  // Each rank does its part of one sum.
  const double work = 1.0 / world.size();
  const auto figures = measure_in_turns({{"tree, " + what, work, [&] { tree_sum(reducer, owned); }},
                                         {"MPI_Allreduce, " + what, work, [&] { library_sum(world, plain); }}},
                                        "sums/s", config.repeats, 0.1, world);
  report.figures.insert(report.figures.end(), figures.begin(), figures.end());
  report.ratios.push_back(ratio_of(figures[0], figures[1]));
}

// The library's sum cannot be given up by the rank that waits in it.
[[noreturn]] void end_stuck(const Communicator& world) {
  fmt::print(
      stderr,
      "langrun: error: bench exchange: rank {} of {} has not been through within {:.0f} s\nhint: look at the hosts of "
      "the job and at the network between them\n",
      world.rank(), world.size(), Communicator::kUnstatedLimit);
  std::_Exit(static_cast<int>(ExitCode::rank));
}

}  // namespace

BenchReport bench_exchange(const BenchConfig& config, Communicator& world) {
  if ((world.size() & (world.size() - 1)) != 0)
    throw Error(ExitCode::usage, fmt::format("bench exchange runs on 1, 2, 4, ... ranks, not {}", world.size()),
                "the tree of sums is a balanced one: use a power of two");
  BenchReport report{
      "exchange", {{"ranks", std::to_string(world.size())}, {"megabytes", std::to_string(config.megabytes)}}, {}, {}};
  const TimeLimit limit(Communicator::kUnstatedLimit, [&world] { end_stuck(world); });
  for (const std::int64_t owned : {1, 4}) measure(config, world, owned, report);
  return report;
}

}  // namespace langrun
