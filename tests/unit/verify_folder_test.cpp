// What is damaged in the folder of an evaluation or of a sampling is found and named, and nothing else is.
#include "launch/verify_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <span>
#include <string>

#include "core/error.h"
#include "data/hdf5.h"
#include "data/journal.h"
#include "data/weights_file.h"
#include "jobs/evaluation_file.h"
#include "jobs/evaluation_record.h"
#include "jobs/sample_state.h"
#include "launch/evaluation_journal.h"
#include "launch/sample_records.h"
#include "weights_support.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using langrun::testing::error_of;
using langrun::testing::read_file;
using langrun::testing::Scratch;
using langrun::testing::write_file;

const ImageShape kImage{3, 4, 4};
constexpr std::int64_t kCall = 2, kChains = 3;

void write_weights(const fs::path& path) {
  const std::vector<float> values{1, 2, 3, 4};
  auto file = h5::File::create(path);
  file.write("/energy/f.weight", {4}, values.data());
  file.write_attribute("/energy", "network", std::string("light"));
  file.seal();
}

class VerifyFolderTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(run / "state.2"); }

  /// Problems by part, as text; and remarks.
  std::map<std::string, std::string> problems() {
    std::map<std::string, std::string> found;
    remarks.clear();
    check_folder(run, [&](const CheckedPart& part) {
      remarks[part.name] = part.remark;
      found[part.name];
      for (const auto& problem : part.problems) found[part.name] += problem + "\n";
    });
    return found;
  }
  void expect_all_good() {
    for (const auto& [name, text] : problems()) EXPECT_EQ(text, "") << name;
  }
  /// Only that part has problems, and they name the file.
  void expect_damaged(const std::string& part, const fs::path& file) {
    const auto found = problems();
    ASSERT_TRUE(found.contains(part)) << part;
    for (const auto& [name, text] : found)
      if (name == part)
        EXPECT_NE(text.find(file.string()), text.npos) << name << ": " << text;
      else
        EXPECT_EQ(text, "") << name;
    const auto text = error_of(ExitCode::storage, [&] { verify_folder(run); });
    EXPECT_NE(text.find(file.filename().string()), text.npos) << text;
  }
  /// The part is found damaged with each kind of damage to the file, and good once that is made good.
  void expect_all_damage_found(const std::string& part, const fs::path& file, std::size_t flipped) {
    const auto whole = read_file(file);
    ASSERT_LT(flipped, whole.size());
    auto other = whole;
    other[flipped] = static_cast<char>(other[flipped] ^ 4);
    for (const auto& bytes : {other, whole.substr(0, whole.size() / 2), std::string()}) {
      write_file(file, bytes);
      expect_damaged(part, file);
    }
    fs::remove(file);
    fs::create_directory(file);
    expect_damaged(part, file);
    fs::remove(file);
    write_file(file, whole);
    expect_all_good();
  }

  void begin_evaluation(int images) const {
    write_file(run / "run.cfg", "job = defend\n");
    Journal log(journal);
    log.add(std::as_bytes(std::span("head")));
    ImageRecord record;
    for (int i = 0; i < images; ++i, ++record.index) log.add(packed(record));
  }
  void finish_evaluation() const {
    write_weights(run / "energy.h5");
    write_evaluation(run / "records.h5", {}, {.steps = 1, .restarts = 1, .classes = 3},
                     {"", {"a", "b", "c"}, kImage, {}});
    write_file(run / "result.json", "{}");
  }
  void finish_sampling() const {
    write_file(run / "run.cfg", "job = sample\ncount = 3\ncall = 2\nsteps-list = 0,7\n");
    write_weights(run / "weights.h5");
    write_file(run / "state.2/begun", "\n");
    for (const std::int64_t number : {0, 1}) {
      const std::vector<float> chains(static_cast<std::size_t>(kCall * kImage.elements()), 0.5f);
      write_block(run / "state.2", {number, 7, chains, {}, std::vector<double>(2, 0), {}}, kImage);
    }
    SampleConfig config;
    config.weights = "best";
    const auto records = make_sample_records(run, config);
    records->begin(kChains, kImage);
    for (const std::int64_t step : {0, 7}) {
      const auto bytes = static_cast<std::size_t>(kChains * kImage.elements());
      records->add(step, 0, std::vector<std::uint8_t>(bytes, static_cast<std::uint8_t>(step + 200)));
      ChainTable table;
      table.chains = kChains;
      for (std::int64_t s = 0; s <= step; s += 7) table.steps.push_back(s);
      table.energy.assign(table.steps.size() * kChains, 1.5f);
      table.magnitude = table.energy;
      records->finish(step, table);
    }
  }

  Scratch scratch;
  const fs::path run = scratch / "run", journal = run / "state.2/images.journal";
  std::map<std::string, std::string> remarks;
};

TEST_F(VerifyFolderTest, KnowsWhatHasNoCheckpoints) {
  EXPECT_FALSE(has_no_checkpoints(run));
  write_file(run / "run.cfg", "job = shortrun\n");
  EXPECT_FALSE(has_no_checkpoints(run));
  for (const std::string job : {"defend", "sample"}) {
    write_file(run / "run.cfg", "job = " + job + "\n");
    EXPECT_TRUE(has_no_checkpoints(run)) << job;
  }
}

TEST_F(VerifyFolderTest, AnEvaluationUnderWay) {
  begin_evaluation(3);
  expect_all_good();
  EXPECT_EQ(remarks["state.2/images.journal"], "3 finished images");
  const auto whole = read_file(journal);
  write_file(journal, whole.substr(0, whole.size() - 9));
  expect_all_good();
  EXPECT_NE(remarks["state.2/images.journal"].find("2 finished images; "), std::string::npos);
  auto damaged = whole;
  damaged[60] = static_cast<char>(damaged[60] ^ 1);
  write_file(journal, damaged);
  expect_damaged("state.2/images.journal", journal);
  EXPECT_EQ(read_file(journal), damaged) << "it is only read";
  EXPECT_FALSE(fs::exists(journal.string() + ".damaged-1"));
}

TEST_F(VerifyFolderTest, AJournalThatIsGone) {
  write_file(run / "run.cfg", "job = defend\n");
  expect_all_good();  // a start may have ended before it
  EXPECT_NE(warning_of_lost(run, journal, false).find("is missing: either"), std::string::npos);
  write_file(journal, "");
  EXPECT_NE(warning_of_lost(run, journal, true).find("holds no record: either"), std::string::npos);
  write_file(run / "cost.json", "{}");
  expect_damaged("state.2/images.journal", journal);
  EXPECT_NE(warning_of_lost(run, journal, true).find("images that were finished are lost"), std::string::npos);
  fs::remove(journal);
  fs::remove(run / "cost.json");
  fs::create_directory(run / "flight.1");  // of a start that was killed after it had begun its journal
  expect_damaged("state.2/images.journal", journal);
  begin_evaluation(0);
  expect_all_good();
}

TEST_F(VerifyFolderTest, AnEvaluationThatIsThrough) {
  begin_evaluation(1);
  finish_evaluation();
  expect_all_good();
  for (const auto* name : {"records.h5", "energy.h5"}) expect_all_damage_found(name, run / name, 700);
  fs::remove_all(run / "state.2");
  expect_all_good();
}

TEST_F(VerifyFolderTest, EveryPointOfASweep) {
  begin_evaluation(2);
  fs::create_directories(scratch / "sweep/points");
  write_file(scratch / "sweep/sweep.txt", "attack.eps=1\n");
  fs::rename(run, scratch / "sweep/points/000");
  fs::rename(scratch / "sweep", run);
  EXPECT_TRUE(has_no_checkpoints(run));
  expect_all_good();
  const auto name = "points/000/state.2/images.journal";
  EXPECT_EQ(remarks[name], "2 finished images");
  write_file(run / name, read_file(run / name) + "noise");
  expect_damaged(name, run / name);
}

TEST_F(VerifyFolderTest, ASampling) {
  finish_sampling();
  expect_all_good();
  EXPECT_EQ(remarks["chains.h5"], "2 listed steps of 3 chains");
  EXPECT_EQ(remarks["step-000000007.h5"], "3 images");
  EXPECT_EQ(remarks["state.2"], "2 blocks of chains");
  expect_all_damage_found("weights.h5", run / "weights.h5", 700);
  expect_all_damage_found("chains.h5", run / "chains.h5", 700);
  expect_all_damage_found("state.2", block_file(run / "state.2", 1), 700);
  const auto store = step_store(run, 7);
  expect_all_damage_found("step-000000007.h5", store, read_file(store).find(std::string(40, '\xcf')));
}

TEST_F(VerifyFolderTest, WhatIsMissingOfASampling) {
  finish_sampling();
  const auto gone = [&](const std::string& part, const fs::path& file) {
    fs::rename(file, scratch / "away");
    expect_damaged(part, file);
    fs::rename(scratch / "away", file);
  };
  gone("weights.h5", run / "weights.h5");
  gone("chains.h5", run / "chains.h5");
  gone("step-000000000.h5", step_store(run, 0));
  gone("state.2", block_file(run / "state.2", 0));
  expect_all_good();
  fs::remove_all(run / "state.2");
  expect_all_good();  // nothing more will be listed
}

// What a resume relies on.
TEST_F(VerifyFolderTest, FinishedStepsAreCheckedToTheLastPixel) {
  finish_sampling();
  check_step_stores(run, {0, 7});
  const auto store = step_store(run, 7);
  const auto whole = read_file(store);
  auto flipped = whole;
  const auto pixel = whole.find(std::string(40, '\xcf')) + 39;
  flipped[pixel] = static_cast<char>(flipped[pixel] ^ 1);
  for (const auto& bytes : {flipped, whole.substr(0, whole.size() - 100), std::string()}) {
    write_file(store, bytes);
    const auto text = error_of(ExitCode::storage, [&] { check_step_stores(run, {0, 7}); });
    EXPECT_NE(text.find(store.string()), text.npos) << text;
    EXPECT_NE(text.find("bring step-000000007.h5 back"), text.npos) << text;
  }
  fs::remove(store);
  fs::create_directory(store);
  error_of(ExitCode::storage, [&] { check_step_stores(run, {0, 7}); });
  check_step_stores(run, {0});
}

}  // namespace
}  // namespace langrun::launch
