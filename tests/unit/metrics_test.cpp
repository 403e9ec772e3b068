#include "launch/metrics.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

class MetricsTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::string text() const {
    std::ifstream in(path_, std::ios::binary);
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }
  void put(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }
  void write_steps(std::int64_t from, std::int64_t to) const {
    MetricsWriter writer(path_);
    for (auto step = from; step <= to; ++step) {
      StepRecord record;
      record.step = step;
      writer.append(record);
    }
  }

  fs::path folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::path path_ = folder_ / "metrics.jsonl";
};

TEST(JsonNumber, ReadsBackToTheSameBits) {
  std::uint64_t bits = 0x9e3779b97f4a7c15ull;
  for (int i = 0; i < 20000; ++i) {
    bits = bits * 6364136223846793005ull + 1442695040888963407ull;
    const auto value = std::bit_cast<double>(bits);
    if (!std::isfinite(value)) continue;
    const auto text = json_number(value);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(nlohmann::json::parse(text).get<double>()), bits) << text;
    EXPECT_TRUE(nlohmann::json::parse(text).is_number_float()) << text;
  }
}

TEST(JsonNumber, EdgesAndFloats) {
  EXPECT_EQ(json_number(0.0), "0.0");
  EXPECT_TRUE(std::signbit(nlohmann::json::parse(json_number(-0.0)).get<double>()));
  EXPECT_EQ(json_number(0.5), "0.5");
  EXPECT_EQ(json_number(static_cast<double>(0.1f)), "0.10000000149011612");
  EXPECT_EQ(json_number(3.0), "3.0");
  EXPECT_EQ(json_number(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(json_number(-std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(nlohmann::json::parse(json_number(5e-324)).get<double>(), 5e-324);
}

TEST_F(MetricsTest, ArraysStandLastAndKeepTheirOrder) {
  StepRecord record;
  record.step = 2;
  record.more = {{"retired", 1.0}};
  record.arrays = {{"bank_ages", {3.0, 0.5, std::numeric_limits<double>::quiet_NaN()}}, {"burn_in_ages", {}}};
  const auto line = to_json_line(record);
  EXPECT_TRUE(line.ends_with(R"("retired": 1.0, "bank_ages": [3.0, 0.5, null], "burn_in_ages": []})")) << line;
  EXPECT_EQ(nlohmann::json::parse(line)["bank_ages"][1].get<double>(), 0.5);
}

TEST_F(MetricsTest, HoldsEveryKeyOnce) {
  StepRecord record;
  record.step = 7;
  record.energy_difference = -0.25;
  record.gradient_magnitude = 2.0;
  record.generator_loss = 12.5;
  record.seconds_update = {0.5, 1.0, 2.0};
  record.more = {{"energy_data", 1.5}, {"odd \"name\"", 2.0}};
  {
    MetricsWriter writer(path_);
    writer.append(record);
    writer.sync();
  }
  const auto read = nlohmann::json::parse(text());
  EXPECT_EQ(read["step"], 7);
  EXPECT_EQ(read["energy_difference"], -0.25);
  EXPECT_EQ(read["generator_loss"], 12.5);
  for (const char* name : {"bank_mean_age", "loss", "accuracy"}) EXPECT_FALSE(read.contains(name)) << name;
  EXPECT_EQ(read["seconds_update"]["max"], 2.0);
  EXPECT_EQ(read["odd \"name\""], 2.0);
  for (const char* name : {"gradient_magnitude", "learning_rate", "image_steps_per_second"})
    EXPECT_TRUE(read[name].is_number_float()) << name;
  for (const char* name : {"seconds_sample", "seconds_exchange", "seconds_checkpoint"})
    EXPECT_EQ(read[name].size(), 3u) << name;
}

TEST_F(MetricsTest, ALineIsOnDiskBeforeTheNextStep) {
  MetricsWriter writer(path_);
  StepRecord record;
  record.step = 1;
  writer.append(record);
  EXPECT_EQ(text(), to_json_line(record) + "\n");
}

TEST_F(MetricsTest, TruncationDropsLaterStepsAndAHalfWrittenLine) {
  write_steps(1, 6);
  const auto whole = text();
  put(whole + "{\"step\": 7, \"energy_di");
  const auto result = MetricsWriter::truncate_after(path_, 4);
  EXPECT_EQ(result.kept, 4);
  EXPECT_EQ(result.dropped, 3);
  write_steps(5, 6);
  EXPECT_EQ(text(), whole);
  EXPECT_FALSE(fs::exists(path_.string() + ".partial"));
}

TEST_F(MetricsTest, TruncationDropsAHalfWrittenLineOfAStepToKeep) {
  write_steps(1, 2);
  const auto whole = text();
  put(whole.substr(0, whole.size() - 1));
  EXPECT_EQ(MetricsWriter::truncate_after(path_, 9).kept, 1);
  EXPECT_EQ(text(), whole.substr(0, whole.find('\n') + 1));
}

TEST_F(MetricsTest, StepsWithoutALineAreNamed) {
  EXPECT_EQ(MetricsWriter::truncate_after(path_, 0).missing, "");
  EXPECT_EQ(MetricsWriter::truncate_after(path_, 3).missing, "steps 1 to 3 are missing");
  write_steps(4, 6);  // the earlier ones were moved away
  EXPECT_EQ(MetricsWriter::look(path_, 6).missing, "");
  EXPECT_EQ(MetricsWriter::look(path_, 7).missing, "step 7 is missing");
  write_steps(8, 9);
  write_steps(12, 12);
  EXPECT_EQ(MetricsWriter::look(path_, 12).missing, "step 7 is missing");
  EXPECT_EQ(MetricsWriter::look(path_, 6).missing, "");
}

TEST_F(MetricsTest, TruncationTakesAPerfectFileFromAnOlderWriter) {
  EXPECT_EQ(MetricsWriter::truncate_after(path_, 3).kept, 0);
  EXPECT_FALSE(fs::exists(path_));
  write_steps(1, 3);
  MetricsWriter older(path_);
  const auto before = text();
  EXPECT_EQ(MetricsWriter::truncate_after(path_, 3).dropped, 0);
  StepRecord record;
  record.step = 4;
  older.append(record);
  EXPECT_EQ(text(), before);
}

TEST_F(MetricsTest, WhatAnOlderStartPutInItsPlaceIsReplacedAtTheNextSync) {
  bool ours = true;
  MetricsWriter writer(path_, [&] { return ours; });
  StepRecord record;
  std::string lines;
  const auto append = [&] {
    ++record.step;
    writer.append(record);
    lines += to_json_line(record) + "\n";
  };
  append();
  append();
  MetricsWriter::truncate_after(path_, 0);  // an older start that was cut off just before its rename
  EXPECT_EQ(text(), "");
  append();
  writer.sync();
  EXPECT_EQ(text(), lines);
  append();
  EXPECT_EQ(text(), lines);
  fs::remove(path_);
  writer.sync();
  EXPECT_EQ(text(), lines);

  // Once a newer start has the run, its file stays.
  ours = false;
  const auto newer = path_.string() + ".newer";
  {
    std::ofstream(newer) << "newer\n";
  }
  fs::rename(newer, path_);
  writer.sync();
  EXPECT_EQ(text(), "newer\n");
}

TEST_F(MetricsTest, AStartThatWasOvertakenNeitherOpensNorReplacesTheFile) {
  write_steps(1, 3);
  const auto before = text();
  const auto overtaken = [] { return false; };
  const GenerationFolder gone{path_.parent_path() / "checkpoint.1", 1};
  for (const auto& refused : {std::function<void()>([&] { MetricsWriter(path_, overtaken); }),
                              std::function<void()>([&] { MetricsWriter::truncate_after(path_, 1, gone); })}) {
    try {
      refused();
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::storage);
      EXPECT_NE(std::string(error.what()).find("overtaken by a newer start"), std::string::npos) << error.what();
    }
    EXPECT_EQ(text(), before);
    EXPECT_FALSE(fs::exists(path_.string() + ".partial"));
  }
}

TEST_F(MetricsTest, TruncationNamesADamagedLineAndKeepsTheFile) {
  write_steps(1, 1);
  const auto damaged = text() + "{\"step\": tw\n{\"step\": 3}\n";
  put(damaged);
  try {
    MetricsWriter::truncate_after(path_, 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::storage);
    EXPECT_NE(std::string(error.what()).find("line 2"), std::string::npos) << error.what();
  }
  EXPECT_EQ(text(), damaged);
  // Damage among lines that go anyway does no harm.
  put("{\"step\": 1}\n{\"step\": 2}\n\0\0\n");
  EXPECT_EQ(MetricsWriter::truncate_after(path_, 1).kept, 1);
}

TEST(MetricsWriter, AFullDiskAndAMissingFolderAreStorageErrors) {
  const auto code_of = [](const char* path) {
    try {
      MetricsWriter writer(path);
      writer.append({});
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::done;
  };
  EXPECT_EQ(code_of("/nowhere-at-all/metrics.jsonl"), ExitCode::storage);
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  EXPECT_EQ(code_of("/dev/full"), ExitCode::storage);
}

}  // namespace
}  // namespace langrun::launch
