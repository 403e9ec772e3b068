#include "launch/progress.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "launch/start_table.h"

namespace langrun::launch {
namespace {

/// A FILE in memory.
class Sink {
 public:
  Sink() : file_(open_memstream(&data_, &size_)) {}
  ~Sink() {
    std::fclose(file_);
    std::free(data_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {data_, size_};
  }
  std::vector<std::string> lines() {
    std::vector<std::string> all;
    const auto whole = text();
    for (std::size_t at = 0, end; (end = whole.find('\n', at)) != std::string::npos; at = end + 1)
      all.push_back(whole.substr(at, end - at));
    return all;
  }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

StepRecord at(std::int64_t step) {
  StepRecord record;
  record.step = step;
  record.energy_difference = 0.125;
  record.gradient_magnitude = 0.25;
  record.image_steps_per_second = 1334;
  return record;
}

/// Runs steps first+1 .. total, each `seconds` long.
std::vector<std::string> log_of(std::int64_t first, std::int64_t total, double seconds) {
  Sink sink;
  double now = 1000;
  Progress progress(sink.file(), Screen::log, first, total, [&] { return now; });
  for (auto step = first + 1; step <= total; ++step) {
    now += seconds;
    progress.update(at(step));
  }
  progress.finish();
  EXPECT_EQ(sink.text().find('\r'), std::string::npos);
  EXPECT_EQ(sink.text().find('\x1b'), std::string::npos);
  return sink.lines();
}

TEST(Progress, ALogHasTheFirstAndLastStepAndTwentyOfAShortRun) {
  const auto lines = log_of(0, 1000, 0.001);
  ASSERT_EQ(lines.size(), 21u);
  EXPECT_EQ(lines.front(),
            "step    1/1000 | energy difference +0.1250 | gradient 0.2500 | 1334 image-steps/s | 0:00:00 gone, "
            "0:00:00 left");
  EXPECT_TRUE(lines.back().starts_with("step 1000/1000 |")) << lines.back();
}

TEST(Progress, ALogOfALongRunHasALineInTenSecondsAtFirstAndInAMinuteLater) {
  const auto lines = log_of(0, 86400, 1.0);  // a day
  EXPECT_LT(lines.size(), 1600u);
  EXPECT_GT(lines.size(), 1400u);
  EXPECT_TRUE(lines.at(1).starts_with("step    11/86400")) << lines.at(1);
}

TEST(Progress, TimesAreThoseOfThisStart) {
  const auto lines = log_of(90, 100, 60.0);
  EXPECT_TRUE(lines.front().ends_with("0:01:00 gone, 0:09:00 left")) << lines.front();
  EXPECT_TRUE(lines.back().ends_with("0:10:00 gone, 0:00:00 left")) << lines.back();
}

TEST(Progress, TheEstimateFollowsAMachineThatSlowsDown) {
  Sink sink;
  double now = 0;
  Progress progress(sink.file(), Screen::log, 0, 1000, [&] { return now; });
  for (int step = 1; step <= 500; ++step) {
    now += step <= 250 ? 1 : 4;
    progress.update(at(step));
  }
  progress.finish();
  const auto line = sink.lines().back();
  const auto left = line.substr(line.find("gone, ") + 6, 7);
  EXPECT_GE(left, "0:32:00");  // 500 steps of 4 s are 0:33:20
  EXPECT_LE(left, "0:33:20");
}

TEST(Progress, ATerminalRewritesOneLine) {
  setenv("COLUMNS", "200", 1);
  Sink sink;
  double now = 0;
  Progress progress(sink.file(), Screen::terminal, 0, 100, [&] { return now; });
  for (int step = 1; step <= 100; ++step) {
    now += 0.01;
    progress.update(at(step));
  }
  progress.finish();
  const auto text = sink.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.back(), '\n');
  const auto rewrites = std::count(text.begin(), text.end(), '\r');
  EXPECT_GE(rewrites, 9);
  EXPECT_LE(rewrites, 12);
  EXPECT_NE(text.rfind("\rstep 100/100 | "), std::string::npos);
}

TEST(Progress, ANarrowTerminalGetsALineThatDoesNotWrap) {
  for (const int columns : {80, 40, 10}) {
    setenv("COLUMNS", std::to_string(columns).c_str(), 1);
    Sink sink;
    Progress progress(sink.file(), Screen::terminal, 0, 100000);
    progress.update(at(1));
    const auto text = sink.text();
    EXPECT_LT(text.size(), static_cast<std::size_t>(columns) + 4) << text;  // "\r" and "\x1b[K" take no room
  }
}

TEST(Progress, ANoteStandsOnItsOwnLine) {
  setenv("COLUMNS", "200", 1);
  Sink sink;
  Progress progress(sink.file(), Screen::terminal, 0, 100);
  progress.update(at(1));
  progress.note("checkpoint 00000001 written");
  progress.finish();
  const auto lines = sink.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[0].ends_with("\rcheckpoint 00000001 written\x1b[K")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("\rstep   1/100 |")) << lines[1];
}

TEST(Progress, AStoppedRunEndsWithItsLastStep) {
  Sink sink;
  double now = 0;
  Progress progress(sink.file(), Screen::log, 0, 1000, [&] { return now; });
  for (int step = 1; step <= 7; ++step) progress.update(at(step));
  progress.finish();
  progress.finish();
  const auto lines = sink.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[1].starts_with("step    7/1000")) << lines[1];
}

TEST(Progress, AFileIsALog) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  EXPECT_EQ(screen_of(file.get()), Screen::log);
}

TEST(ClockText, HoursAndDays) {
  EXPECT_EQ(clock_text(-1), "0:00:00");
  EXPECT_EQ(clock_text(83.9), "0:01:23");
  EXPECT_EQ(clock_text(36000), "10:00:00");
  EXPECT_EQ(clock_text(2 * 86400 + 3 * 3600 + 4 * 60 + 5), "2d 03:04:05");
}

TEST(StartTable, SettingsBySectionThenDerivedNumbers) {
  std::int64_t steps = 300, langevin_steps = 100;
  double eta = 0.01;
  std::string data;
  OptionTable options("shortrun");
  options.text("data", data, "image store");
  options.integer("langevin.steps", langevin_steps, "steps", "Langevin steps");
  options.integer("steps", steps, "steps", "total");
  options.real("langevin.eta", eta, "", "step size");
  options.parse({"--langevin.steps", "40"});
  EXPECT_EQ(start_table(options, {{"weights, energy", with_thousands(693569)}, {"bank", bytes_text(1536)}}),
            "general\n"
            "  data                   -\n"
            "  steps                300 steps\n"
            "\nlangevin\n"
            "* steps                 40 steps\n"
            "  eta                 0.01\n"
            "\nderived\n"
            "  weights, energy  693,569\n"
            "  bank             1.5 KiB\n"
            "\n(* given here, in a file or by the preset; the others are defaults)\n");
}

TEST(StartTable, NumbersForPeople) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(-1234567), "-1,234,567");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(bytes_text(17), "17 bytes");
  EXPECT_EQ(bytes_text(3ull << 30), "3.0 GiB");
}

}  // namespace
}  // namespace langrun::launch
