#include "jobs/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace langrun {
namespace {

/// The first step after `seen` that the watch refuses; most + 1 where it lets all pass.
template <typename Difference>
std::int64_t refused_from(DivergenceWatch& watch, std::int64_t seen, std::int64_t most, const Difference& difference) {
  for (std::int64_t step = seen + 1; step <= most; ++step) {
    StepRecord record;
    record.step = step;
    record.energy_difference = difference(step);
    try {
      watch.see(record);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::diverged);
      return step;
    }
  }
  return most + 1;
}

/// The same of a watch that has seen nothing.
template <typename Difference>
std::int64_t steps_until_refused(std::int64_t most, const Difference& difference) {
  DivergenceWatch watch{DivergenceConfig{}};
  return refused_from(watch, 0, most, difference);
}

TEST(DivergenceWatch, LetsHealthyRunsPass) {
  EXPECT_EQ(steps_until_refused(20000, [](std::int64_t s) { return 1e5 * std::sin(0.37 * static_cast<double>(s)); }),
            20001);
  // A steady bias, and growth that levels off.
  EXPECT_EQ(steps_until_refused(20000, [](std::int64_t) { return -7000.0; }), 20001);
  EXPECT_EQ(
      steps_until_refused(20000, [](std::int64_t s) { return -1e4 * (1 - std::exp(-0.003 * static_cast<double>(s))); }),
      20001);
  // Growing swings return through zero.
  EXPECT_EQ(steps_until_refused(3000,
                                [](std::int64_t s) {
                                  return std::exp(0.01 * static_cast<double>(s)) *
                                         std::sin(0.1 * static_cast<double>(s));
                                }),
            3001);
}

TEST(DivergenceWatch, StopsGrowthWithoutReturn) {
  const auto end = steps_until_refused(20000, [](std::int64_t s) { return -std::exp(0.01 * static_cast<double>(s)); });
  EXPECT_EQ(end, DivergenceWatch::kWindow * DivergenceWatch::kWindows);
}

TEST(DivergenceWatch, StopsAtOnceOnANonFiniteValue) {
  EXPECT_EQ(
      steps_until_refused(10, [](std::int64_t s) { return s == 4 ? std::numeric_limits<double>::infinity() : 1.0; }),
      4);
  DivergenceWatch watch{DivergenceConfig{}};
  StepRecord record;
  record.generator_loss = std::nan("");
  EXPECT_THROW(watch.see(record), Error);
}

StepRecord record_of(std::int64_t step, double difference) {
  StepRecord record;
  record.step = step;
  record.energy_difference = difference;
  return record;
}

/// From one point (step, |difference|) to the next by the same factor each step.
double between(const std::vector<std::pair<double, double>>& points, double step) {
  std::size_t next = 1;
  while (next + 1 < points.size() && points[next].first < step) ++next;
  const auto [from, a] = points[next - 1];
  const auto [to, b] = points[next];
  return a * std::pow(b / a, (step - from) / (to - from));
}

/// A refinement of a generator that was healthy for 405 steps and then fell off, by factors of a hundred at first.
constexpr std::int64_t kFall = 405;
double refinement(std::int64_t step) {
  const auto s = static_cast<double>(step);
  if (step < kFall) return 1.5e5 * std::sin(0.9 * s) * std::sin(2.3 * s);
  return -between({{405, 1.3e5}, {411, 1.7e6}, {421, 8.9e7}, {441, 1.6e10}, {466, 2.3e11}, {511, 5e12}, {566, 6e13}}, s);
}

TEST(DivergenceWatch, StopsALeapWithinTensOfSteps) {
  const auto end = steps_until_refused(566, refinement);
  EXPECT_GT(end, kFall);
  EXPECT_LE(end, kFall + 35);
  // Wherever in a window it begins, and whatever its sign; but for the first window it needs one before it.
  for (std::int64_t shift = 0; shift < 200; shift += 7) {
    const auto later = steps_until_refused(
        566 - shift, [&](std::int64_t s) { return (shift % 2 == 0 ? 1 : -1) * refinement(s + shift); });
    EXPECT_LE(later, kFall - shift + 90) << shift;
  }
}

TEST(DivergenceWatch, KnowsWhereALeapBegan) {
  DivergenceWatch watch{DivergenceConfig{}};
  std::int64_t step = 0;
  try {
    while (step < 566) watch.see(record_of(step + 1, refinement(step + 1))), ++step;
    FAIL() << "the leap was not seen";
  } catch (const Diverged& error) {
    EXPECT_GE(error.first_step(), kFall);
    EXPECT_LE(error.first_step(), kFall + 5);
    EXPECT_NE(std::string(error.what()).find("100 times the largest"), std::string::npos) << error.what();
  }
  EXPECT_LE(watch.suspects_from(step), kFall + 5) << "a checkpoint of before it is spared";
}

TEST(DivergenceWatch, LetsBeginningsOfAnySizePass) {
  const auto noise = [](double size, std::int64_t s) { return size * std::sin(0.37 * static_cast<double>(s)); };
  // Synthesis from nothing: all of one sign at first, up to five hundred times what it began with.
  EXPECT_EQ(steps_until_refused(3000,
                                [&](std::int64_t s) {
                                  const auto t = static_cast<double>(s);
                                  return s < 60 ? -between({{1, 3.6e4}, {15, 1.2e7}, {40, 1.9e7}, {60, 1e5}}, t)
                                                : noise(1e5, s);
                                }),
            3001);
  // As nothing for some windows, and then swings.
  EXPECT_EQ(steps_until_refused(3000, [&](std::int64_t s) { return s <= 300 ? 0 : noise(1e5, s); }), 3001);
  EXPECT_EQ(steps_until_refused(3000, [&](std::int64_t s) { return noise(s <= 300 ? 1e-3 : 1e5, s); }), 3001);
  // One step far away, and a level ten times the one before.
  EXPECT_EQ(steps_until_refused(3000, [&](std::int64_t s) { return s == 700 ? -1e12 : noise(1e5, s); }), 3001);
  EXPECT_EQ(steps_until_refused(3000, [](std::int64_t s) { return s <= 500 ? -1e3 : -1e4; }), 3001);
}

TEST(DivergenceWatch, SeesALeapAsIfUncut) {
  const auto whole = steps_until_refused(566, refinement);
  for (const std::int64_t cut : {1, 199, 200, 399, 400, 401, 410, 425, 434}) {
    DivergenceWatch first{DivergenceConfig{}}, second{DivergenceConfig{}};
    for (std::int64_t step = 1; step <= cut; ++step) first.see(record_of(step, refinement(step)));
    second.restore(first.state());
    EXPECT_EQ(second.suspects_from(cut), first.suspects_from(cut));
    EXPECT_EQ(refused_from(second, cut, 566, refinement), whole) << cut;
  }
}

// The state of a version that knew no largest difference: six numbers.
TEST(DivergenceWatch, TakesStatesOfOlderVersions) {
  // Cut one step before its window ends, with a small difference there: that is not what is usual.
  const auto healthy = [](std::int64_t s) { return s == 200 ? 1 : 1e5 * std::sin(0.05 * static_cast<double>(s)); };
  const auto leap = [&](std::int64_t s) { return s < 605 ? healthy(s) : refinement(s - 200); };
  DivergenceWatch first{DivergenceConfig{}}, second{DivergenceConfig{}};
  for (std::int64_t step = 1; step < 200; ++step) first.see(record_of(step, healthy(step)));
  auto older = first.state();
  older.resize(6);
  second.restore(older);
  const auto end = refused_from(second, 199, 766, leap);
  EXPECT_GT(end, 605);
  EXPECT_LT(end, 650);
}

TEST(DivergenceWatch, CountsStepsBeyondTheBound) {
  DivergenceConfig config;
  config.bound = 10;
  config.steps = 3;
  DivergenceWatch watch(config);
  std::int64_t step = 0;
  for (const double difference : {11.0, -11.0, 9.0, -20.0, 20.0}) watch.see(record_of(++step, difference));
  EXPECT_EQ(watch.suspects_from(5), 4);
  try {
    watch.see(record_of(++step, 12.5));
    FAIL() << "the bound was passed three times in a row";
  } catch (const Diverged& error) {
    EXPECT_EQ(error.first_step(), 4);
    EXPECT_NE(std::string(error.what()).find("energy difference"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("step 6"), std::string::npos);
  }
}

TEST(DivergenceWatch, GoesOnFromItsStateAsIfUncut) {
  const auto growth = [](std::int64_t step) { return -std::exp(0.01 * static_cast<double>(step)); };
  constexpr auto kEnd = DivergenceWatch::kWindow * DivergenceWatch::kWindows;
  for (const std::int64_t cut : {1, 150, 200, 599, 999}) {
    DivergenceWatch first{DivergenceConfig{}}, second{DivergenceConfig{}};
    for (std::int64_t step = 1; step <= cut; ++step) first.see(record_of(step, growth(step)));
    second.restore(first.state());
    EXPECT_EQ(second.suspects_from(cut), 1);
    std::int64_t step = cut;
    try {
      while (step < 2 * kEnd) second.see(record_of(step + 1, growth(step + 1))), ++step;
      FAIL() << "growth was not seen";
    } catch (const Diverged& error) {
      EXPECT_EQ(step + 1, kEnd);
      EXPECT_EQ(error.first_step(), 1);
    }
  }
  DivergenceWatch watch{DivergenceConfig{}};
  EXPECT_THROW(watch.restore({1, 2}), Error);
}

TEST(DivergenceWatch, SuspectsNothingOfAHealthyRun) {
  DivergenceWatch watch{DivergenceConfig{}};
  for (std::int64_t step = 1; step <= 450; ++step) watch.see(record_of(step, step % 2 == 0 ? 1.0 : -1.0));
  EXPECT_EQ(watch.suspects_from(450), 451);
}

}  // namespace
}  // namespace langrun
