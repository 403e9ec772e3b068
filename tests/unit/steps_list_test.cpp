#include "launch/steps_list.h"

#include <gtest/gtest.h>

#include "tests/unit/weights_support.h"

namespace langrun::launch {
namespace {

TEST(StepsList, RisesStrictly) {
  EXPECT_EQ(rising_steps("0,1,10,1000000", "steps-list"), (std::vector<std::int64_t>{0, 1, 10, 1000000}));
  EXPECT_EQ(rising_steps("5", "steps-list"), (std::vector<std::int64_t>{5}));
  for (const auto* wrong : {"1,1", "10,1", "", "1,", ",1", "1;2", "-1", "1.5", "1, 2", "1,x", "200000000"})
    testing::error_of(ExitCode::usage, [&] { rising_steps(wrong, "steps-list"); });
}

TEST(StepsList, OfNumbers) {
  EXPECT_EQ(rising_numbers("1e-3,0.01,2", "deltas"), (std::vector<double>{1e-3, 0.01, 2}));
  for (const auto* wrong : {"0", "-1", "nan", "inf", "1e-2,1e-3", ""})
    testing::error_of(ExitCode::usage, [&] { rising_numbers(wrong, "deltas"); });
}

}  // namespace
}  // namespace langrun::launch
