#include "jobs/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"

namespace langrun {
namespace {

/// Steps that the watch lets pass, of at most `most`.
template <typename Difference>
std::int64_t steps_until_refused(std::int64_t most, Difference difference) {
  DivergenceWatch watch{DivergenceConfig{}};
  for (std::int64_t step = 1; step <= most; ++step) {
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
