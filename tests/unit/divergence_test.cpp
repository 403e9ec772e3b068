#include "jobs/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"

namespace langrun {
namespace {

/// Steps that the watch lets pass, of at most `most`.
template <typename Difference>
std::int64_t steps_until_refused(std::int64_t most, Difference difference) {
  DivergenceWatch watch;
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
  DivergenceWatch watch;
  StepRecord record;
  record.generator_loss = std::nan("");
  EXPECT_THROW(watch.see(record), Error);
}

}  // namespace
}  // namespace langrun
