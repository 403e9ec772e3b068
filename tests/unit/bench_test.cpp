#include "jobs/bench.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/codecs.h"
#include "data/synth.h"
#include "launch/commands.h"

namespace langrun {
namespace {

BenchConfig tiny() {
  BenchConfig config;
  config.width = 8;
  config.batch = 4;
  config.lanes = 2;
  config.steps = 1;
  config.repeats = 2;
  return config;
}

TEST(Bench, SpreadIsMedianLowestHighest) {
  const auto odd = spread_of({3, 1, 2}), even = spread_of({4, 1, 2, 3}), none = spread_of({});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(odd.low, 1);
  EXPECT_EQ(odd.high, 3);
  EXPECT_EQ(even.median, 2.5);
  EXPECT_EQ(none.high, 0);
}

TEST(Bench, CasesAreMeasuredInTurns) {
  std::string order;
  const std::vector<BenchCase> cases{{"a", 1, [&] { order += 'a'; }}, {"b", 1, [&] { order += 'b'; }}};
  const auto figures = measure_in_turns(cases, "runs/s", 3, 0, *make_solo_communicator());
  EXPECT_EQ(order, "aabbababab");  // two warm-up runs each, then three turns
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures[1].values.size(), 3u);
  EXPECT_EQ(figures[1].per_core_second.size(), 3u);
}

TEST(Bench, RatiosAreTakenRepeatByRepeat) {
  const auto ratio = ratio_of({"ours", "x/s", {2, 9}, {4, 8}}, {"theirs", "x/s", {1, 3}, {1, 4}});
  EXPECT_EQ(ratio.what, "ours / theirs");
  EXPECT_EQ(ratio.values, (std::vector<double>{2, 3}));
  EXPECT_EQ(ratio.per_core_second, (std::vector<double>{4, 2}));
}

// The plain loop of PyTorch has our weights and gives our gradient, or bench_langevin would throw.
TEST(Bench, LangevinMeasuresTheSameWorkBothWays) {
  for (const char* network : {"light", "sngan32"}) {
    auto config = tiny();
    config.network = network;
    const auto report = bench_langevin(config, *make_solo_communicator());
    EXPECT_EQ(report.figures.size(), 4u);
    for (const auto& figure : report.figures) EXPECT_GT(spread_of(figure.values).low, 0) << figure.what;
  }
}

TEST(Bench, ExchangeAndTrainGiveFigures) {
  auto config = tiny();
  config.megabytes = 1;
  config.chain_steps = 1;
  config.generator_width = 4;
  for (const auto& report :
       {bench_exchange(config, *make_solo_communicator()), bench_train(config, *make_solo_communicator())}) {
    EXPECT_FALSE(report.figures.empty()) << report.name;
    for (const auto& figure : report.figures) {
      EXPECT_EQ(figure.values.size(), 2u) << report.name << ": " << figure.what;
    }
  }
}

TEST(Bench, LanesMustDivideTheBatch) {
  auto config = tiny();
  config.lanes = 3;
  try {
    bench_langevin(config, *make_solo_communicator());
    FAIL() << "3 lanes of 4 images were taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
  }
}

TEST(Bench, ImportMeasuresBothDecodingsAndTheLoader) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "bench-import";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto bytes = encode_jpeg(synthetic_image(1, 0, 64), 90);
  for (const char* name : {"0.jpg", "1.jpg", "2.jpg"})
    std::ofstream(folder / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  auto config = tiny();
  config.source = folder.string();
  config.size = 16;
  config.repeats = 1;
  const auto report = bench_import(config, *make_solo_communicator());
  ASSERT_EQ(report.figures.size(), 5u);
  for (const auto& figure : report.figures) EXPECT_GT(spread_of(figure.values).low, 0) << figure.what;
  EXPECT_NEAR(report.figures[2].values[0] / report.figures[0].values[0], static_cast<double>(bytes.size()), 1e-6);
  std::filesystem::remove_all(folder);
}

TEST(Bench, CommandWritesItsFigures) {
  const auto path = std::filesystem::path(testing::TempDir()) / "bench.json";
  std::filesystem::remove(path);
  const auto world = make_solo_communicator();
  launch::Call call{*world, {"noise", "--json", path.string(), "--batch", "1", "--repeats", "1"}, {"langrun"}};
  EXPECT_EQ(launch::run_bench(call), 0);
  const auto written = nlohmann::json::parse(std::ifstream(path));
  EXPECT_EQ(written["benchmarks"][0]["name"], "noise");
  EXPECT_EQ(written["benchmarks"][0]["figures"][0]["what"], "fill_normal");
  EXPECT_GT(written["benchmarks"][0]["figures"][0]["median"], 0);
  std::filesystem::remove(path);

  for (const auto& words : std::vector<std::vector<std::string>>{
           {"nois"}, {"noise", "--gigabytes", "1"}, {"noise", "--json", "/proc/none/x.json"}}) {
    launch::Call wrong{*world, words, {"langrun"}};
    EXPECT_THROW(launch::run_bench(wrong), Error) << words.back();
  }
}

TEST(Bench, CheckpointsAreWrittenMeasuredAndRemoved) {
  const auto world = make_solo_communicator();
  const auto folder = (std::filesystem::path(testing::TempDir()) / "bench-checkpoint").string();
  std::filesystem::create_directory(folder);
  launch::Call call{*world,
                    {"checkpoint", "--gigabytes", "0.001", "--every", "2", "--step-seconds", "0.001", "--repeats", "1",
                     "--batch", "8", "--folder", folder},
                    {"langrun"}};
  EXPECT_EQ(launch::run_bench(call), 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder)) << "what it wrote is still there";
  std::filesystem::remove(folder);
}

}  // namespace
}  // namespace langrun
