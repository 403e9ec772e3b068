// How far a run is, of every kind of folder, and the text by which scripts see that something was finished.
#include "launch/run_status.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/hdf5.h"
#include "data/journal.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

class RunStatusTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(run_); }
  void TearDown() override { fs::remove_all(run_); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((run_ / name).parent_path());
    std::ofstream(run_ / name) << text;
  }
  void begin_training() const {
    write("run.cfg", "job = shortrun\nsteps = 40\n");
    fs::create_directories(run_ / "checkpoint");
  }
  void finish_images(const fs::path& folder, int count) const {
    fs::create_directories(folder / "state");
    Journal journal(folder / "state" / "images.journal");
    for (int i = 0; i <= count; ++i) journal.add(std::as_bytes(std::span("record")));
  }
  void save_block(const std::string& name, std::int64_t step) const {
    fs::create_directories(run_ / "state");
    fs::remove(run_ / "state" / name);
    auto file = h5::File::create(run_ / "state" / name);
    file.write_attribute("/", "step", step);
    file.close();
  }
  std::string progress() const { return status_of(run_).progress(); }

  const fs::path run_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(RunStatusTest, TrainingCountsWhatAKillLeaves) {
  begin_training();
  EXPECT_EQ(progress(), "step 0");
  // Steps that no checkpoint holds are not kept: a run that is killed there every time gets nowhere.
  write("metrics.jsonl", "{\"step\": 1}\n{\"step\": 7, \"attempt\": 0.0}\n{\"step\": 8, \"att");
  EXPECT_EQ(progress(), "step 0");
  fs::create_directories(run_ / "checkpoint" / "00000005");
  fs::create_directories(run_ / "checkpoint" / "00000006.1.partial");
  const auto status = status_of(run_);
  EXPECT_EQ(status.progress(), "step 5");
  EXPECT_EQ(status.step, 7);
  EXPECT_EQ(status.steps, 40);
  EXPECT_EQ(status.job, "shortrun");
  EXPECT_FALSE(status.done);
  fs::create_directories(run_ / "checkpoint" / "00000040");
  EXPECT_TRUE(status_of(run_).done);
}

TEST_F(RunStatusTest, ARollbackIsProgress) {
  begin_training();
  fs::create_directories(run_ / "checkpoint" / "00000005");
  const auto before = progress();
  write("metrics.jsonl", "{\"step\": 6, \"attempt\": 1.0}\n");
  EXPECT_NE(progress(), before);
}

TEST_F(RunStatusTest, EvaluationsCountImages) {
  write("run.cfg", "job = defend\nimages = 490:520\n");
  EXPECT_EQ(progress(), "0 images");
  finish_images(run_, 0);
  EXPECT_EQ(progress(), "0 images");
  finish_images(run_, 0);  // one more record behind those that are there
  const auto status = status_of(run_);
  EXPECT_EQ(status.kind, "evaluation");
  EXPECT_EQ(status.images, 1);
  EXPECT_EQ(status.images_in_all, 30);
  write("list", "1 2\n3\n");
  write("run.cfg", "job = defend\nimages-file = " + (run_ / "list").string() + "\n");
  EXPECT_EQ(status_of(run_).images_in_all, 3);
}

TEST_F(RunStatusTest, SweepsAddTheirPoints) {
  write("sweep.txt", "attack.eps=1,2\n");
  write("points/000/run.cfg", "job = defend\nimages = 0:2\n");
  finish_images(run_ / "points" / "000", 2);
  write("points/001/run.cfg", "job = defend\nimages = 0:2\n");
  finish_images(run_ / "points" / "001", 1);
  EXPECT_EQ(progress(), "3 images");
  write("sweep.json", "{}");
  EXPECT_TRUE(status_of(run_).done);
}

TEST_F(RunStatusTest, SamplingCountsStepsOfSavedChains) {
  write("run.cfg", "job = sample\nsteps-list = 10,1000\n");
  const auto nothing = progress();
  save_block("block-000000.h5", 0);
  const auto begun = progress();
  EXPECT_NE(begun, nothing);
  save_block("block-000000.h5", 10);
  EXPECT_NE(progress(), begun);
  EXPECT_EQ(status_of(run_).steps, 1000);
  EXPECT_FALSE(status_of(run_).done);
}

TEST_F(RunStatusTest, JsonIsOneLineThatScriptsCanRead) {
  begin_training();
  const auto text = status_json("a \"run\"\n", status_of(run_));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["run"], "a \"run\"\n");
  EXPECT_EQ(json["state"], "unfinished");
  EXPECT_EQ(json["progress"], "step 0");
  EXPECT_TRUE(json["checkpoint"].is_null());
  EXPECT_TRUE(json["images"].is_null());
}

TEST_F(RunStatusTest, AFolderOfSomethingElseIsRefused) {
  EXPECT_THROW((void)status_of(run_), Error);
  EXPECT_THROW((void)status_of(run_ / "nowhere"), Error);
}

}  // namespace
}  // namespace langrun::launch
