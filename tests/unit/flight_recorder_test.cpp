// What a rank did last, and the signs of life that tell it to others.
#include "distributed/flight_recorder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "distributed/heartbeat.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

TEST(FlightRecorder, KeepsTheLastSixtyFour) {
  FlightRecorder recorder;
  for (std::uint64_t n = 1; n <= 100; ++n) {
    if (n == 90) recorder.enter("step 9");
    recorder.begin(n, "sum " + std::to_string(n), 8 * n);
    if (n != 100) recorder.end(n);
  }
  const auto state = recorder.state();
  ASSERT_EQ(state.entries.size(), FlightRecorder::kEntries);
  EXPECT_EQ(state.entries.front().number, 37u);
  EXPECT_EQ(state.entries.front().phase, "start");
  EXPECT_EQ(state.entries.back().phase, "step 9");
  EXPECT_EQ(state.entries.back().bytes, 800u);
  EXPECT_EQ(state.entries.back().ended, 0);
  EXPECT_GE(state.entries.front().ended, state.entries.front().begun);
  EXPECT_NE(record_text(state).find("100\tsum 100\t800\tstep 9\t"), std::string::npos);
}

TEST(FlightRecorder, SaysWhereARankIs) {
  FlightRecorder recorder;
  recorder.enter("step 3, exchange");
  EXPECT_EQ(place_text(recorder.state()), "step 3, exchange");
  recorder.begin(7, "energy", 4);
  EXPECT_EQ(place_text(recorder.state()), "step 3, exchange; after collective 'energy' (number 7)");
  recorder.wait_for(7);
  EXPECT_EQ(place_text(recorder.state()), "step 3, exchange; in collective 'energy' (number 7)");
  recorder.end(7);
  EXPECT_EQ(recorder.state().waits_for, 0u);
  EXPECT_EQ(clock_text(0), "1970-01-01T00:00:00Z");
}

class Heartbeats : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "langrun-heartbeat.XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(folder_); }
  Heartbeat::Config config(double seconds) const { return {folder_, 3, 4, "host-b", seconds}; }
  std::string text() const {
    std::ifstream in(folder_ / "rank-00003.txt");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  FlightRecorder recorder_;
  fs::path folder_;
};

TEST_F(Heartbeats, LeaveTheLastPlaceWhereOthersFindIt) {
  EXPECT_EQ(Heartbeat::last_place(folder_, 3), "");
  recorder_.enter("step 12, sampling lane 1 of a longer name than what follows");
  Heartbeat heartbeat(
      recorder_, config(1000), [] { return 0.0; }, [](std::uint64_t) { FAIL(); });
  EXPECT_TRUE(text().starts_with("rank 3 of 4 on host-b, process "));
  recorder_.enter("step 12");
  heartbeat.write();
  const auto place = Heartbeat::last_place(folder_, 3);
  EXPECT_TRUE(place.starts_with("last seen 20")) << place;
  EXPECT_TRUE(place.ends_with("Z: step 12")) << place;
  EXPECT_EQ(text().find("longer name"), std::string::npos) << "what was written before shows through";
  heartbeat.remove();
  EXPECT_EQ(text(), "");
}

TEST_F(Heartbeats, TellOfTheCollectiveThatIsWaitedForTooLong) {
  std::atomic<std::uint64_t> stuck = 0;
  recorder_.begin(21, "report", 8);
  recorder_.wait_for(21);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  // Only waits count, and only those longer than the limit and the grace: both beats below see the same wait.
  {
    Heartbeat patient(
        recorder_, config(0.005), [] { return 1000.0; }, [&](std::uint64_t number) { stuck = number; });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(stuck, 0u);
  Heartbeat strict(
      recorder_, config(0.005), [] { return 1e-9; }, [&](std::uint64_t number) { stuck = number; });
  for (int i = 0; i < 2000 && stuck == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(stuck, 21u);
}

TEST_F(Heartbeats, TellOfARankThatDoesNotGetThroughGivingUp) {
  std::atomic<std::uint64_t> stuck = 0;
  // It waits for nothing any more, and would be left alone.
  Heartbeat heartbeat(
      recorder_, config(1000), [] { return 1000.0; }, [&](std::uint64_t number) { stuck = number; });
  heartbeat.gives_up(8);
  for (int i = 0; i < 4000 && stuck == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(stuck, 8u);
}

}  // namespace
}  // namespace langrun
