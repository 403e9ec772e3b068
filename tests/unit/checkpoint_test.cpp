// Checkpoint folders: what is durable, what is damaged, what is used.
#include "data/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

class Checkpoints : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "langrun-checkpoint.XXXXXX").string();
    run_ = mkdtemp(name.data());
    home_ = take_generation(run_, kCheckpointHome).path;
  }
  void TearDown() override { fs::remove_all(run_); }

  fs::path folder(std::int64_t step) const { return home_ / checkpoint_name(step); }

  void write(std::int64_t step, std::int64_t keep = 9, std::int64_t spared = 0) {
    const fs::path partial = folder(step).string() + ".partial";
    fs::create_directories(partial);
    std::vector<CheckpointFile> files;
    for (const char* name : {"weights.h5", "bank-0.h5"}) {
      write_durably(partial / name, "content of " + std::string(name) + std::to_string(step));
      files.push_back({name, fs::file_size(partial / name), checksum(partial / name)});
    }
    write_manifest(partial, {step, 1, 1, 0, {}, "steps = 5\n", files});
    for (const auto& old : publish_checkpoint(home_, partial, step, keep, spared)) {
      EXPECT_EQ(old.extension(), ".partial");
      EXPECT_GT(fs::remove_all(old), 1u);
    }
  }

  fs::path run_, home_;
};

TEST_F(Checkpoints, AreFoundAndGood) {
  EXPECT_EQ(checkpoint_name(42), "00000042");
  std::vector<std::string> damaged;
  EXPECT_FALSE(newest_good_checkpoint(home_, damaged).has_value());
  write(5);
  write(10);
  EXPECT_EQ(newest_good_checkpoint(home_, damaged), 10);
  EXPECT_TRUE(damaged.empty());
  EXPECT_EQ(fs::read_symlink(home_ / "latest"), "00000010");
  EXPECT_EQ(read_manifest(folder(10)).configuration, "steps = 5\n");
}

TEST_F(Checkpoints, OldOnesGoOnlyAfterNewOnesAreThere) {
  for (const std::int64_t step : {1, 2, 3, 4}) write(step, 2);
  EXPECT_EQ(checkpoint_steps(home_), (std::vector<std::int64_t>{3, 4}));
}

TEST_F(Checkpoints, ARollbackTakesLaterOnesAway) {
  for (const std::int64_t step : {2, 4, 6}) write(step);
  const auto gone = return_to_checkpoint(home_, 4);
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_TRUE(fs::exists(gone[0] / "manifest.json"));
  EXPECT_EQ(gone[0].extension(), ".partial");
  EXPECT_EQ(checkpoint_steps(home_), (std::vector<std::int64_t>{2, 4}));
  EXPECT_EQ(fs::read_symlink(home_ / "latest"), "00000004");
}

TEST_F(Checkpoints, RetentionSparesWhatARollbackWouldNeed) {
  for (const std::int64_t step : {2, 4, 6, 8}) write(step, 2, 4);
  EXPECT_EQ(checkpoint_steps(home_), (std::vector<std::int64_t>{4, 6, 8}));
}

TEST_F(Checkpoints, AManifestKeepsAttemptWatchAndImages) {
  fs::create_directories(folder(3));
  write_manifest(folder(3), {3, 1, 1, 2, {0.1, -1e300, 3}, "", {}, "a b"});
  const auto manifest = read_manifest(folder(3));
  EXPECT_EQ(manifest.attempt, 2);
  EXPECT_EQ(manifest.watch, (std::vector<double>{0.1, -1e300, 3}));
  EXPECT_EQ(manifest.images, "a b");
}

TEST_F(Checkpoints, EveryFlippedBitIsNamedAndTheOlderOneUsed) {
  write(5);
  write(10);
  for (const char* name : {"weights.h5", "bank-0.h5", "manifest.json"}) {
    const auto path = folder(10) / name;
    const auto good = read_text(path);
    for (std::size_t at = 0; at < good.size(); at += 7) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      std::ofstream(path, std::ios::binary) << bad;
      std::vector<std::string> damaged;
      ASSERT_EQ(newest_good_checkpoint(home_, damaged), 5) << name << " byte " << at;
      ASSERT_FALSE(damaged.empty());
      ASSERT_NE(damaged[0].find(name), std::string::npos) << damaged[0];
    }
    std::ofstream(path, std::ios::binary) << good;
  }
  EXPECT_TRUE(problems_of(folder(10)).empty());
}

TEST_F(Checkpoints, MissingTruncatedAndSwappedFilesAreNamed) {
  write(5);
  fs::resize_file(folder(5) / "weights.h5", 3);
  EXPECT_EQ(problems_of(folder(5)).size(), 1u);
  fs::remove(folder(5) / "bank-0.h5");
  EXPECT_EQ(problems_of(folder(5)).size(), 2u);
  write(6);
  fs::rename(folder(6), folder(7));
  EXPECT_FALSE(problems_of(folder(7)).empty());
  std::vector<std::string> damaged;
  try {
    newest_good_checkpoint(home_, damaged);
    FAIL() << "all are damaged";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
  }
}

TEST_F(Checkpoints, OneThatIsGoneAsAWholeOrIsNoFolderIsNamed) {
  write(5);
  write(10);
  EXPECT_TRUE(problems_of_home(home_).empty());
  fs::remove_all(folder(10));
  std::vector<std::string> damaged;
  EXPECT_EQ(newest_good_checkpoint(home_, damaged), 5);
  ASSERT_EQ(damaged.size(), 1u);
  EXPECT_NE(damaged[0].find("names 00000010, which is gone"), std::string::npos) << damaged[0];
  std::ofstream(folder(10)) << "a file";
  EXPECT_EQ(problems_of_home(home_).size(), 2u);
  fs::remove(folder(10));
  // A start that goes on from 5 has said so, and does not leave it to be said again.
  clear_checkpoints_after(home_, 5);
  EXPECT_TRUE(problems_of_home(home_).empty());
  EXPECT_EQ(fs::read_symlink(home_ / "latest"), "00000005");
}

TEST_F(Checkpoints, WhatIsNoRegularFileIsDamageAndHoldsNobodyUp) {
  write(5);
  for (const char* name : {"weights.h5", "manifest.json"}) {
    const auto path = folder(5) / name;
    const auto good = read_text(path);
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_FALSE(problems_of(folder(5)).empty()) << name;
    fs::remove(path);
    fs::create_symlink("/dev/zero", path);
    EXPECT_FALSE(problems_of(folder(5)).empty()) << name;
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << good;
    EXPECT_TRUE(problems_of(folder(5)).empty()) << name;
  }
  std::ofstream(folder(5) / "manifest.json").close();
  fs::resize_file(folder(5) / "manifest.json", std::uintmax_t{1} << 40);
  EXPECT_FALSE(problems_of(folder(5)).empty());
}

TEST_F(Checkpoints, AnUnfinishedOneIsNoCheckpoint) {
  write(5);
  fs::create_directories(folder(9).string() + ".partial");
  std::vector<std::string> damaged;
  EXPECT_EQ(newest_good_checkpoint(home_, damaged), 5);
}

TEST_F(Checkpoints, OfANewerStartCannotBeReachedByAnOlderOne) {
  write(5);
  const auto old_home = home_;
  const fs::path partial = folder(10).string() + ".partial";
  fs::create_directories(partial);
  write_manifest(partial, {10, 1, 1, 0, {}, "", {}});
  // A newer start takes the run over while the older one is about to publish step 10.
  home_ = take_generation(run_, kCheckpointHome).path;
  clear_checkpoints_after(home_, 5);
  EXPECT_EQ(home_, run_ / "checkpoint.2");
  EXPECT_EQ(checkpoint_home(run_), home_);
  try {
    (void)publish_checkpoint(old_home, partial, 10, 1);
    FAIL() << "an older start published";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
  }
  EXPECT_FALSE(fs::exists(old_home));
  EXPECT_EQ(checkpoint_steps(home_), (std::vector<std::int64_t>{5}));
  std::vector<std::string> damaged;
  EXPECT_EQ(newest_good_checkpoint(home_, damaged), 5);
}

TEST_F(Checkpoints, GoodOnesAfterTheStepOfAStartGoAndDamagedOnesStay) {
  for (const std::int64_t step : {2, 4, 6}) write(step);
  fs::remove(folder(6) / "weights.h5");
  clear_checkpoints_after(home_, 2);
  EXPECT_EQ(checkpoint_steps(home_), (std::vector<std::int64_t>{2, 6}));
}

TEST(Durable, LeavesWhatWasThereWhenItFails) {
  EXPECT_THROW(write_durably("/proc/langrun-cannot-write", "x"), Error);
  EXPECT_EQ(checksum_of_text("abc").size(), 32u);
  EXPECT_NE(checksum_of_text("abc"), checksum_of_text("abd"));
}

}  // namespace
}  // namespace langrun
