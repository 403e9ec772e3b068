#include "distributed/time_limit.h"

#include <gtest/gtest.h>

#include <future>

namespace langrun {
namespace {

TEST(TimeLimit, CallsWhoIsLateOnce) {
  std::promise<void> late;
  auto called = late.get_future();
  const TimeLimit limit(0.01, [&] { late.set_value(); });  // a second call would throw
  EXPECT_EQ(called.wait_for(std::chrono::seconds(60)), std::future_status::ready);
}

TEST(TimeLimit, EndsInTimeWithoutACall) {
  bool called = false;
  { const TimeLimit limit(3600, [&] { called = true; }); }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace langrun
