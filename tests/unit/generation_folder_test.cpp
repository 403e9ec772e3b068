// One writer at a time: who takes a run's state, and what is left of the name it had before.
#include "data/generation_folder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>
#include <vector>

#include "core/error.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

class Generations : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "langrun-generation.XXXXXX").string();
    run_ = mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(run_); }
  fs::path run_;
};

TEST_F(Generations, AreTakenOneAfterTheOther) {
  EXPECT_EQ(newest_generation_folder(run_, "state").generation, 0);
  const auto first = take_generation(run_, "state");
  EXPECT_EQ(first.path, run_ / "state.1");
  std::ofstream(first.path / "kept") << "x";
  const auto second = take_generation(run_, "state");
  EXPECT_EQ(second.generation, 2);
  EXPECT_FALSE(fs::exists(first.path));
  EXPECT_TRUE(fs::exists(second.path / "kept"));
  EXPECT_EQ(newest_generation_folder(run_, "state").path, second.path);
  EXPECT_EQ(take_generation(run_, "state", 9).path, run_ / "state.9");
  EXPECT_FALSE(std::ofstream(first.path / "late").is_open());
}

TEST_F(Generations, TakeOverAFolderWithoutANumber) {
  fs::create_directory(run_ / "state");
  std::ofstream(run_ / "state" / "kept") << "x";
  EXPECT_EQ(newest_generation_folder(run_, "state").path, run_ / "state");
  const auto taken = take_generation(run_, "state", 4);
  EXPECT_TRUE(fs::exists(run_ / "state.4" / "kept"));
  link_generation(run_, "state", taken);
  EXPECT_EQ(fs::read_symlink(run_ / "state"), "state.4");
  EXPECT_TRUE(fs::exists(run_ / "state" / "kept"));
}

TEST_F(Generations, WhatAnOvertakenStartPutsIntoTheRunComesToNothing) {
  const auto older = take_generation(run_, "state");
  publish_from(older, run_ / "run.cfg", "older");
  const auto text = [&] {
    std::ifstream in(run_ / "run.cfg");
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  EXPECT_EQ(text(), "older");
  const auto newer = take_generation(run_, "state");
  publish_from(newer, run_ / "run.cfg", "newer");
  // Before it has begun to write, and between its writing and its rename.
  const auto refused = [&](const auto& act) {
    try {
      act();
      FAIL() << "it was published";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::storage);
      EXPECT_NE(std::string(error.what()).find("overtaken by a newer start"), std::string::npos) << error.what();
    }
  };
  refused([&] { publish_from(older, run_ / "run.cfg", "late"); });
  GenerationFolder newest;
  refused([&] {
    publish_from(newer, run_ / "run.cfg", [&](const fs::path& partial) {
      std::ofstream(partial) << "later";
      newest = take_generation(run_, "state");
    });
  });
  refused([&] { link_generation(run_, "state", older); });
  EXPECT_EQ(text(), "newer");
  EXPECT_FALSE(fs::exists(older.path));
  // What that left in the folder is in nobody's way.
  publish_from(newest, run_ / "run.cfg", "newest");
  EXPECT_EQ(text(), "newest");
  EXPECT_TRUE(fs::is_empty(newest.path));
}

TEST_F(Generations, AreNotTakenWhereTheyAreNotToBe) {
  const auto first = take_generation(run_, "state");
  EXPECT_THROW(take_generation(run_, "state", 1, [](const GenerationFolder& there) {
                 if (there.generation > 0) throw overtaken_error("run");
               }),
               Error);
  EXPECT_TRUE(is_there(first));
}

TEST_F(Generations, OtherNamesAreNotTakenForThem) {
  for (const char* name : {"state.x", "state.", "state.1x", "states.3", "state.99999999999999999999"})
    fs::create_directory(run_ / name);
  std::ofstream(run_ / "state.7") << "a file";
  EXPECT_EQ(newest_generation_folder(run_, "state").generation, 0);
}

TEST_F(Generations, ALinkWithoutItsFolderIsNoState) {
  fs::create_symlink("state.3", run_ / "state");
  EXPECT_EQ(take_generation(run_, "state").path, run_ / "state.1");
  EXPECT_TRUE(fs::is_directory(run_ / "state.1"));
}

TEST_F(Generations, OfManyAtOnceEachHasItsOwnNumber) {
  std::vector<std::thread> starts;
  std::vector<std::int64_t> numbers(8);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    starts.emplace_back([&, i] { numbers[i] = take_generation(run_, "state").generation; });
  for (auto& start : starts) start.join();
  EXPECT_EQ(std::set(numbers.begin(), numbers.end()).size(), numbers.size());
  std::size_t folders = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(run_)) ++folders;
  EXPECT_EQ(folders, 1u);
}

TEST_F(Generations, AFolderThatCannotBeWrittenIsNamed) {
  EXPECT_THROW(take_generation(run_ / "missing", "state"), Error);
}

}  // namespace
}  // namespace langrun
