#include "launch/provenance.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "core/error.h"
#include "launch/version.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

class ProvenanceTest : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  nlohmann::json read() const {
    std::ifstream in(folder_ / "provenance.json");
    return nlohmann::json::parse(in);
  }
  fs::path folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ProvenanceTest, EachStartIsAGeneration) {
  EXPECT_EQ(newest_generation(folder_), 0);
  EXPECT_EQ(begin_generation(folder_, "state", {{"langrun", "shortrun"}, {"a", "b"}, {"cpu", "cpu"}, 1}).generation, 1);
  const auto second = begin_generation(folder_, "state", {{"langrun", "shortrun", "--resume"}, {"c"}, {"cuda:0"}, 101});
  EXPECT_EQ(second.generation, 2);
  EXPECT_EQ(second.path, folder_ / "state.2");
  EXPECT_EQ(fs::read_symlink(folder_ / "state"), "state.2");
  EXPECT_EQ(newest_generation(folder_), 2);
  const auto file = read();
  EXPECT_EQ(file["version"], version());
  EXPECT_EQ(file["commit"], commit());
  EXPECT_EQ(file["command"], (std::vector<std::string>{"langrun", "shortrun", "--resume"}));
  EXPECT_EQ(file["hosts"], std::vector<std::string>{"c"});
  EXPECT_EQ(file["devices"], std::vector<std::string>{"cuda:0"});
  ASSERT_EQ(file["generations"].size(), 2u);
  EXPECT_EQ(file["generations"][0]["ranks"], 2);
  EXPECT_EQ(file["generations"][0]["first_step"], 1);
  EXPECT_EQ(file["generations"][1]["first_step"], 101);
  EXPECT_TRUE(std::regex_match(file["generations"][1]["time"].get<std::string>(),
                               std::regex(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ)")));
  const std::regex number(R"(\d+\.\d+.*)");
  for (const char* name : {"libtorch", "hdf5"})
    EXPECT_TRUE(std::regex_match(file["libraries"][name].get<std::string>(), number)) << name;
  EXPECT_FALSE(file["libraries"]["mpi"].get<std::string>().empty());
}

TEST_F(ProvenanceTest, OfTwoStartsThatSetThemselvesUpAtOnceTheLaterOneHasTheRun) {
  const auto start = [](const StartLook& look) {
    return Start{{"langrun"}, {"a"}, {"cpu"}, 1, look};
  };
  fs::create_directories(folder_);
  auto older = look_for_starts(folder_, "state"), newer = older;
  EXPECT_EQ(older.generation, 0);
  EXPECT_GT(older.time, 1.7e9);
  newer.time += 30;
  // The older one is through first: the newer one takes the run over all the same.
  EXPECT_EQ(begin_generation(folder_, "state", start(older)).generation, 1);
  EXPECT_EQ(begin_generation(folder_, "state", start(newer)).generation, 2);
  // The newer one was through first: the older one gives way, and touches nothing.
  const auto before = read();
  try {
    begin_generation(folder_, "state", start(older));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
    EXPECT_NE(std::string(error.what()).find("overtaken by a newer start"), std::string::npos) << error.what();
  }
  EXPECT_EQ(read(), before);
  EXPECT_TRUE(fs::exists(folder_ / "state.2"));
  // A start that has seen it goes on from it, whatever the clock of its host says.
  older.generation = 2;
  EXPECT_EQ(begin_generation(folder_, "state", start(older)).generation, 3);
}

TEST_F(ProvenanceTest, WordsThatAreNoTextDoNotStopARun) {
  record_start(folder_, 1, {{"langrun", "\xff\xfe.h5"}, {"a"}, {"cpu"}, 1});
  EXPECT_EQ(newest_generation(folder_), 1);
}

TEST_F(ProvenanceTest, ADamagedFileIsNamedAndKept) {
  fs::create_directories(folder_);
  for (const char* text : {"", "[]", "{\"generations\": 3}", "{\"generations\": [{}]}"}) {
    std::ofstream(folder_ / "provenance.json") << text;
    try {
      begin_generation(folder_, "state", {{"langrun"}, {"a"}, {"cpu"}, 1});
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::storage);
      EXPECT_NE(std::string(error.what()).find("provenance.json"), std::string::npos);
    }
    EXPECT_EQ(fs::file_size(folder_ / "provenance.json"), std::string(text).size());
    EXPECT_FALSE(fs::exists(folder_ / "state.1"));
  }
}

}  // namespace
}  // namespace langrun::launch
