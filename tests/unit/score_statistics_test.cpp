#include <fmt/format.h>

#include <cmath>

#include "core/frechet.h"
#include "core/interval.h"
#include "data/statistics_file.h"
#include "jobs/score_resampling.h"
#include "score_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::make_store;

class ScoreStatistics : public testing::ScoreTest {
 protected:
  void SetUp() override {
    ScoreTest::SetUp();
    use_script();
  }
  /// Keeps the statistics of a store under `name`.
  std::string keep(const std::string& store, const std::string& name) {
    auto one = config;
    one.a = store;
    one.b.clear();
    one.resamples = 0;
    one.statistics = (scratch / name).string();
    const auto world = make_solo_communicator();
    const auto result = score(one, *world, [](std::int64_t, std::int64_t) {});
    EXPECT_FALSE(result.distance);
    return one.statistics;
  }
};

TEST_F(ScoreStatistics, StandInForAStore) {
  config.count = 130;
  const auto direct = run();
  const auto kept = keep(config.b, "b.stats.h5");
  const auto store_a = config.a, store_b = config.b;
  config.count = 0;
  config.b = kept;
  const auto result = run();
  EXPECT_EQ(result.distance, direct.distance) << "the same bits";
  EXPECT_TRUE(result.b->stored);
  EXPECT_EQ(result.b->images.count, 130);
  EXPECT_EQ(result.b->images.images, 150);
  EXPECT_EQ(result.b->images.block, 40);
  // Without any net, where both are kept; and A where B was.
  config.a = keep(store_a, "a.stats.h5");
  config.features = {};
  EXPECT_EQ(run().distance, direct.distance);
  use_script();
  config.a = kept;
  config.b = store_a;
  EXPECT_NEAR(*run().distance, *direct.distance, 1e-9);
}

TEST_F(ScoreStatistics, MayHaveAnotherCount) {
  config.b = keep(config.b, "b.stats.h5");
  config.count = 100;
  const auto result = run();
  EXPECT_EQ(result.a.images.count, 100);
  EXPECT_EQ(result.b->images.count, 150);
}

TEST_F(ScoreStatistics, RefuseAnotherNetOrSettings) {
  const auto kept = keep(config.b, "b.stats.h5");
  config.b = kept;
  const auto names = [&](const std::string& what) {
    const auto text = refusal(ExitCode::input);
    EXPECT_NE(text.find(what), std::string::npos) << text;
    EXPECT_NE(text.find("b.stats.h5"), std::string::npos) << text;
  };
  config.features.range = "0:255";
  names("range 0:1");
  config.features.range = "0:1";
  config.features.size = 24;
  names("32x32");
  use_script("    return torch.flatten(torch.adaptive_avg_pool2d(x, [2, 2]), 1) * 2\n");
  names("checksum");
  config.features = {(scratch / "w.h5").string(), 0, "none"};
  names("network torchscript");
}

TEST_F(ScoreStatistics, NothingIsWrittenOverAndDamageIsFound) {
  const auto kept = keep(config.b, "b.stats.h5");
  const auto bytes = testing::read_file(kept);
  const auto store = config.b;
  config.statistics = kept;
  config.b.clear();
  EXPECT_NE(refusal(ExitCode::usage).find("exists already"), std::string::npos);
  EXPECT_EQ(testing::read_file(kept), bytes);
  config.statistics.clear();
  EXPECT_NE(refusal(ExitCode::usage).find("B is missing"), std::string::npos);
  // A flipped bit in each part of the values.
  const auto stored = read_statistics_file(kept);
  for (const auto* part : {&stored.mean, &stored.scatter}) {
    const std::string needle(reinterpret_cast<const char*>(part->data() + 1), 8);
    auto damaged = bytes;
    const auto at = damaged.find(needle);
    ASSERT_NE(at, std::string::npos);
    damaged[at + 3] = static_cast<char>(damaged[at + 3] ^ 1);
    testing::write_file(scratch / "damaged.h5", damaged);
    config.b = (scratch / "damaged.h5").string();
    EXPECT_NE(refusal(ExitCode::input).find("damaged"), std::string::npos);
  }
  testing::write_file(scratch / "cut.h5", bytes.substr(0, bytes.size() / 2));
  config.b = (scratch / "cut.h5").string();
  EXPECT_NE(refusal(ExitCode::input).find("cut.h5"), std::string::npos);
}

TEST_F(ScoreStatistics, RefuseWhatWantsImages) {
  const auto store = config.b;
  config.b = keep(config.b, "b.stats.h5");
  config.ssim = true;
  EXPECT_NE(refusal(ExitCode::usage).find("want images"), std::string::npos);
  config.ssim = false;
  config.statistics = (scratch / "more.h5").string();
  EXPECT_NE(refusal(ExitCode::usage).find("takes one store"), std::string::npos);
  config.a = config.b;
  config.b.clear();
  EXPECT_NE(refusal(ExitCode::usage).find("statistics already"), std::string::npos);
  config.statistics.clear();
  config.b = config.a;
  config.resamples = 10;
  EXPECT_NE(refusal(ExitCode::usage).find("--resamples wants images"), std::string::npos);
  config.a = store;
  config.count = 12;
  EXPECT_NE(refusal(ExitCode::usage).find("at least 13"), std::string::npos);
  config.count = 0;
  config.resamples = 1;
  EXPECT_NE(refusal(ExitCode::usage).find("2 or more"), std::string::npos);
}

TEST_F(ScoreStatistics, AnIntervalIsKeyedAndAroundTheDistance) {
  const auto plain = run();
  EXPECT_FALSE(plain.interval);
  config.resamples = 40;
  const auto result = run();
  ASSERT_TRUE(result.interval);
  EXPECT_EQ(result.distance, plain.distance);
  EXPECT_LT(result.interval->low, *result.distance);
  EXPECT_GT(result.interval->high, *result.distance);
  EXPECT_GT(result.interval->standard_error, 0);
  EXPECT_EQ(run().interval->low, result.interval->low);
  config.seed = 2;
  EXPECT_NE(run().interval->low, result.interval->low);
  // With B fixed only A moves.
  config.b = keep(config.b, "b.stats.h5");
  EXPECT_LT(run().interval->standard_error, result.interval->standard_error);
}

TEST(Resampling, DrawsAreWithRepetition) {
  const auto draws = draws_of(1, 0, 0, 1000);
  EXPECT_EQ(draws.sum().item<std::int64_t>(), 1000);
  // 1 - 1/e of the images come at least once.
  EXPECT_NEAR((draws > 0).sum().item<double>() / 1000, 0.632, 0.05);
  EXPECT_FALSE(torch::equal(draws, draws_of(1, 0, 1, 1000)));
  EXPECT_FALSE(torch::equal(draws, draws_of(1, 1, 0, 1000)));
  // Drawing is the same as taking the rows that often.
  const auto x = torch::sin(torch::arange(3000 * 4, torch::kFloat64)).view({3000, 4});
  const auto times = draws_of(3, 0, 0, 3000);
  FeatureStatistics drawn(4), repeated(4);
  drawn.add_drawn(x, times);
  repeated.add(x.repeat_interleave(times, 0));
  EXPECT_EQ(drawn.count(), 3000);
  EXPECT_TRUE(torch::allclose(drawn.mean(), repeated.mean(), 1e-12, 1e-12));
  EXPECT_TRUE(torch::allclose(drawn.scatter(), repeated.scatter(), 1e-12, 1e-12));
}

TEST(Resampling, TheStandardErrorIsThatOfFreshSamples) {
  // Samples of two Gaussians, drawn anew again and again: how far their distance moves is what resampling one pair
  // of samples should tell.
  torch::manual_seed(7);
  const auto sample = [](double shift, double scale) {
    return (torch::randn({600, 4}) * scale + shift).to(torch::kFloat32);
  };
  std::vector<double> fresh, told;
  const auto world = make_solo_communicator();
  for (int trial = 0; trial < 200; ++trial) {
    ResampledSide a{sample(0, 1), {}}, b{sample(0.5, 1.4), {}};
    FeatureStatistics of_a(4), of_b(4);
    of_a.add(a.features);
    of_b.add(b.features);
    const double distance = frechet_distance(of_a, of_b);
    fresh.push_back(distance);
    if (trial < 10) told.push_back(resample_distance(*world, a, b, distance, 100, trial + 1).standard_error);
  }
  const double spread = resampled_interval(1, fresh).standard_error;
  double mean = 0;
  for (const double t : told) mean += t / static_cast<double>(told.size());
  EXPECT_NEAR(mean / spread, 1, 0.15);
}

TEST(Resampling, IntervalsAreOfQuantilesAroundTheValue) {
  std::vector<double> values;
  for (int i = 0; i <= 1000; ++i) values.push_back(i);
  const auto interval = resampled_interval(2000, values);
  EXPECT_DOUBLE_EQ(interval.mean, 500);
  EXPECT_DOUBLE_EQ(interval.low, 2000 - 475);
  EXPECT_DOUBLE_EQ(interval.high, 2000 + 475);
  EXPECT_NEAR(interval.standard_error, 289.1, 0.1);
  EXPECT_EQ(resampled_interval(1, values).low, 0);
}

}  // namespace
}  // namespace langrun
