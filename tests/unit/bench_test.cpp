#include "jobs/bench.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "data/codecs.h"
#include "data/synth.h"
#include "data/weights_file.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/synthesize.h"
#include "launch/bench_defend.h"
#include "launch/commands.h"
#include "score_support.h"

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

TEST(Bench, WorkThatTakesMinutesHasAWarmUpOfItsOwn) {
  std::string order;
  const std::vector<BenchCase> cases{{"a", 1, [&] { order += 'a'; }, {}, [&] { order += 'w'; }}};
  measure_in_turns(cases, "runs/s", 2, 1000, *make_solo_communicator());
  EXPECT_EQ(order, "waa");
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
  const auto folder = std::filesystem::path(::testing::TempDir()) / "bench-import";
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
  const auto path = std::filesystem::path(::testing::TempDir()) / "bench.json";
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

/// A defense that can be evaluated in a moment.
struct TinyDefense {
  TinyDefense() {
    const auto world = make_solo_communicator();
    synthesize(*world, {scratch / "data.h5", 20, 32, 1}, {});
    testing::make_weights(scratch / "classifier.h5");
    EnergyConfig energy;
    energy.width = 8;
    auto facts = facts_of(energy);
    facts["temperature"] = "1e-4";
    const auto net = make_energy(energy, 1);
    std::vector<WeightsPart> parts;
    parts.push_back(copied_part("energy", named_state(*net), facts));
    write_weights_file(scratch / "energy.h5", parts);
  }
  std::string file(const char* name) const { return (scratch / name).string(); }
  testing::Scratch scratch;
};

TEST(Bench, DefendEvaluatesImagesSpreadOverTheStore) {
  const TinyDefense tiny;
  const auto world = make_solo_communicator();
  launch::BenchDefendOptions options;
  options.energy = tiny.file("energy.h5");
  options.classifier = tiny.file("classifier.h5");
  options.data = tiny.file("data.h5");
  options.images = 4;
  const auto config = launch::bench_evaluation(*world, options);
  EXPECT_EQ(config.images, (std::vector<std::uint64_t>{0, 5, 10, 15}));
  EXPECT_EQ(config.attack.kind, "bpda-eot");
  EXPECT_EQ(config.attack.steps, 10);
  EXPECT_EQ(config.defense.replicates, 50);
  EXPECT_EQ(config.langevin.steps, 50);
  EXPECT_EQ(config.langevin.eta, 1e-2);
  EXPECT_EQ(config.energy.temperature, 1e-4);
  EXPECT_TRUE(config.rules.verified_any_step);
  EXPECT_FALSE(config.rules.any_step || config.rules.null_control) << "the peer makes no such checks";

  options.images = 21;
  EXPECT_THROW(launch::bench_evaluation(*world, options), Error) << "21 of 20 images";
}

TEST(Bench, DefendMeasuresEachPrecisionAndBothWaysToLeave) {
  const TinyDefense tiny;
  const auto path = tiny.file("bench.json");
  const auto world = make_solo_communicator();
  std::istringstream line(
      "defend --images 2 --chain-steps 2 --attack-steps 1 --attack-replicates 2 "
      "--defense-replicates 2 --precision fp32 --repeats 2 --energy " +
      tiny.file("energy.h5") + " --classifier " + tiny.file("classifier.h5") + " --data " + tiny.file("data.h5") +
      " --json " + path);
  const std::vector<std::string> words{std::istream_iterator<std::string>(line), {}};
  launch::Call call{*world, words, {"langrun"}};
  EXPECT_EQ(launch::run_bench(call), 0);
  const auto written = nlohmann::json::parse(std::ifstream(path))["benchmarks"][0];
  ASSERT_EQ(written["figures"].size(), 10u);  // two rates, and four costs of each
  EXPECT_EQ(written["figures"][0]["what"], "fp32, images leave");
  EXPECT_EQ(written["figures"][1]["what"], "fp32, images stay");
  EXPECT_EQ(written["figures"][0]["values"].size(), 2u);
  EXPECT_EQ(written["ratios"].size(), 1u);
  // Two Langevin steps of two replicates for the natural check at least; at most with two small samples, each verified.
  const double steps = written["figures"][3]["median"];
  EXPECT_GE(steps, 4);
  EXPECT_LE(steps, 20);

  for (const auto& wrong : std::vector<std::vector<std::string>>{
           {"defend"}, {"noise", "--energy", "x"}, {"langevin", "--leaving", "on"}, {"defend", "--gigabytes", "1"}}) {
    launch::Call refused{*world, wrong, {"langrun"}};
    EXPECT_THROW(launch::run_bench(refused), Error) << wrong.back();
  }
}

TEST(Bench, CheckpointsAreWrittenMeasuredAndRemoved) {
  const auto world = make_solo_communicator();
  const auto folder = (std::filesystem::path(::testing::TempDir()) / "bench-checkpoint").string();
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
