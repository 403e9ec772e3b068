#include "launch/run_diff.h"

#include <gtest/gtest.h>

#include <fstream>

#include "launch/metrics.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

class RunDiffTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(scratch_); }

  /// A run of two steps whose second has these counts.
  fs::path run(const std::string& name, std::vector<double> ages, double seconds = 1) const {
    const auto folder = scratch_ / name;
    fs::create_directories(folder);
    std::ofstream(folder / "run.cfg") << "steps = 2\n";
    MetricsWriter writer(folder / "metrics.jsonl");
    StepRecord record;
    record.step = 1;
    writer.append(record);
    record.step = 2;
    record.seconds_sample = {seconds, seconds, seconds};
    record.arrays = {{"bank_ages", std::move(ages)}};
    writer.append(record);
    return folder;
  }

  const fs::path scratch_ =
      fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(RunDiffTest, ArraysAreCompared) {
  const auto one = run("one", {1, 2, 3});
  const auto same = compare_runs(one, run("same", {1, 2, 3}, 7));
  EXPECT_FALSE(same.difference) << *same.difference;
  EXPECT_EQ(same.metrics_lines, 2);
  EXPECT_EQ(compare_runs(one, run("element", {1, 2, 4})).difference,
            "metrics: step 2, bank_ages element 2: [1.0,2.0,3.0] | [1.0,2.0,4.0]");
  EXPECT_EQ(compare_runs(one, run("shorter", {1, 2})).difference,
            "metrics: step 2, bank_ages: [1.0,2.0,3.0] | [1.0,2.0]");
}

}  // namespace
}  // namespace langrun::launch
