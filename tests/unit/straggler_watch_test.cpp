// Who is slower than the others, and when it is said; when a start stops by itself.
#include "jobs/straggler_watch.h"

#include <gtest/gtest.h>

#include "jobs/stop_clock.h"

namespace langrun {
namespace {

using Work = StragglerWatch::Work;

TEST(StragglerWatch, NamesARankThatIsSlowStepAfterStep) {
  StragglerWatch watch(1.5, 5);
  const std::vector<Work> ranks{{1, 0.5}, {1.1, 0.5}, {3, 0.5}, {0.9, 0.5}};
  for (int step = 0; step < 4; ++step) EXPECT_TRUE(watch.see(ranks).empty());
  const auto named = watch.see(ranks);
  ASSERT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0].rank, 2u);
  EXPECT_EQ(named[0].phase, "sampling");
  EXPECT_NEAR(named[0].factor, 3.5 / 1.5, 1e-9);
  // Not again in each step, but now and then while it lasts.
  int again = 0;
  for (int step = 6; step <= 100; ++step) again += static_cast<int>(watch.see(ranks).size());
  EXPECT_EQ(again, 2);
}

TEST(StragglerWatch, OneFastStepBeginsTheCountAnew) {
  StragglerWatch watch(1.5, 3);
  const std::vector<Work> slow{{1, 0}, {2, 0}}, even{{1, 0}, {1, 0}};
  for (int round = 0; round < 5; ++round) {
    EXPECT_TRUE(watch.see(slow).empty());
    EXPECT_TRUE(watch.see(slow).empty());
    EXPECT_TRUE(watch.see(even).empty());
  }
}

TEST(StragglerWatch, OfTwoRanksTheSlowerOne) {
  StragglerWatch watch(1.5, 1);
  const auto named = watch.see({{1, 4}, {1, 1}});
  ASSERT_EQ(named.size(), 1u);
  EXPECT_EQ(named[0].rank, 0u);
  EXPECT_EQ(named[0].phase, "updates");
}

TEST(StragglerWatch, SaysNothingWhereItIsOffOrAlone) {
  StragglerWatch off(0, 1), on(1.5, 1);
  EXPECT_TRUE(off.see({{1, 0}, {9, 0}}).empty());
  EXPECT_TRUE(on.see({{9, 0}}).empty());
  EXPECT_TRUE(on.see({{0, 0}, {0, 0}}).empty());
}

TEST(StopClock, AsksEarlierWhereStepsAndSavesTakeLonger) {
  StopClock clock(0, 1000);
  EXPECT_FALSE(clock.asks(1000 - StopClock::kLeast - 1));
  EXPECT_TRUE(clock.asks(1000 - StopClock::kLeast));
  clock.saw_step(10);
  clock.saw_step(2);
  clock.saw_save(20);
  EXPECT_EQ(clock.needed(), StopClock::kLeast + 60);
  EXPECT_FALSE(clock.asks(1000 - clock.needed() - 1));
  EXPECT_TRUE(clock.asks(1000 - clock.needed()));
  EXPECT_FALSE(StopClock(0, 0).asks(1e12));
}

TEST(StopClock, WantsASaveOnlyBeforeADeadlineAndUntilTheFirst) {
  StopClock clock(0, 1000);
  EXPECT_TRUE(clock.wants_a_save());
  clock.saw_step(3);
  EXPECT_TRUE(clock.wants_a_save());
  clock.saw_save(0);
  EXPECT_FALSE(clock.wants_a_save());
  EXPECT_FALSE(StopClock(10, 0).wants_a_save());
}

}  // namespace
}  // namespace langrun
