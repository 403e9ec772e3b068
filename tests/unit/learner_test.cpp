// Gradients from lanes to everybody: what is exchanged in a training step, and when.
#include "jobs/learner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>

#include "core/error.h"
#include "core/gradient_watch.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/torch.h"
#include "jobs/bank_health.h"
#include "jobs/shortrun.h"
#include "jobs/synthesize.h"

namespace langrun {
namespace {

/// One of `size` ranks, alone: sums are noted and give this rank's own values; others say what it says.
class LonelyCommunicator final : public Communicator {
 public:
  LonelyCommunicator(int rank, int size) : rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return rank_; }
  void barrier(const char*) override {}
  void broadcast(const char*, std::span<std::byte>, int) override {}
  std::vector<std::vector<std::byte>> gather_all(const char*, std::span<const std::byte> bytes) override {
    return std::vector(static_cast<std::size_t>(size_), std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  void maximum(const char*, std::span<std::int64_t>) override {}
  void gather_blocks(const char*, std::span<const float>, std::span<float>) override {}
  Ticket begin_sum(const char* name, std::span<float> values) override {
    log.push_back(fmt::format("{} {}", name, values.size()));
    traffic_.bytes_sent +=
        values.size() * sizeof(float) * 2 * static_cast<std::uint64_t>(size_ - 1) / static_cast<std::uint64_t>(size_);
    return ++traffic_.sums;
  }
  void progress() override {}
  void finish_sum(Ticket) override { log.emplace_back("finish"); }
  void sum_in_library_order(const char*, std::span<float>) override {}
  Traffic traffic() const override { return traffic_; }
  void set_limit(double) override {}

  std::vector<std::string> log;

 private:
  int rank_, size_;
  Traffic traffic_;
};

std::size_t weights_of(const torch::nn::Module& module) { return static_cast<std::size_t>(weight_count(module)); }

// Counts that must not grow unseen: each step exchanges every gradient once, a handful of scalars with it, in the same
// number of sums under the same names, on whichever rank.
TEST(Exchange, AStepSendsItsGradientsOnceInTheSameOrderOnEveryRank) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "learner_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  synthesize(*make_solo_communicator(), {folder / "data.h5", 64, 32, 1}, {});
  ShortrunConfig config;
  config.training.data = (folder / "data.h5").string();
  config.training.batch = 8;
  config.training.lanes = 4;
  config.training.device = "cpu";
  config.energy = {"light", 20, false, "random"};
  config.generator = {"sngan32", 16, 8};
  config.bank_size = 16;
  config.langevin.steps = 1;
  std::vector<std::string> first;
  for (const int rank : {0, 1}) {
    LonelyCommunicator world(rank, 2);
    const auto job = make_shortrun(config, world);
    job->start();
    for (int step = 1; step <= 2; ++step) {
      world.log.clear();
      const auto before = world.traffic();
      job->step(step);
      const auto after = world.traffic();
      const auto energy = make_energy(config.energy, 1);
      const auto generator = make_generator(config.generator, 1);
      std::size_t floats = weights_of(*energy) + 4 + BankHealth::kScalars + weights_of(*generator) + 1;
      for (const auto& layer : generator->batch_norms()) floats += 2 * static_cast<std::size_t>(layer->weight.numel());
      EXPECT_EQ(after.bytes_sent - before.bytes_sent, floats * sizeof(float));  // 2 (R - 1) / R = 1
      if (first.empty()) first = world.log;
      EXPECT_EQ(world.log, first) << "rank " << rank << ", step " << step;
    }
  }
  // The energy's are begun before the generator's, and nobody waits before all are on their way.
  ASSERT_GE(first.size(), 6u);
  EXPECT_TRUE(first[0].starts_with("energy gradients"));
  EXPECT_TRUE(first[first.size() / 2 - 1].starts_with("generator gradients"));
  EXPECT_TRUE(std::all_of(first.begin() + static_cast<std::ptrdiff_t>(first.size() / 2), first.end(),
                          [](const auto& line) { return line == "finish"; }));
  std::filesystem::remove_all(folder);
}

TEST(Exchange, BeginsWhileTheLastLanesBackwardPassRuns) {
  LonelyCommunicator world(1, 2);
  const auto network = make_energy({"light", 32, false, "random"}, 1);
  const auto weights = named_weights(*network);
  GradientReduction reduction(weights, 1);
  const Lanes lanes = lanes_of(4, 1, 2);
  reduction.connect(std::make_unique<TreeReducer>(world, lanes, reduction.elements(), "test"), lanes.owned);
  std::vector<float> wanted(weights_of(*network));
  for (int lane = 0; lane < 2; ++lane) {
    std::size_t begun = 0;
    reduction.add_lane([&] {
      network->energy(torch::full({2, 3, 32, 32}, 0.1 * lane - 0.3)).sum().backward();
      begun = world.log.size();
      return std::vector<float>{2.0f};
    });
    EXPECT_EQ(begun > 0, lane == 1) << "lane " << lane;
  }
  reduction.wait();
  EXPECT_EQ(reduction.take(1, "test"), std::vector<float>{4.0f});
  std::vector<float> got(wanted.size());
  take_gradients(weights, got);
  for (int lane = 0; lane < 2; ++lane) {
    std::vector<float> own(wanted.size());
    network->energy(torch::full({2, 3, 32, 32}, 0.1 * lane - 0.3)).sum().backward();
    take_gradients(weights, own);
    for (std::size_t i = 0; i < own.size(); ++i) wanted[i] += own[i];
  }
  EXPECT_EQ(std::memcmp(got.data(), wanted.data(), wanted.size() * sizeof(float)), 0);
}

TEST(Exchange, ANonFiniteSumIsNotApplied) {
  LonelyCommunicator world(0, 1);
  const auto network = make_energy({"light", 4, false, "random"}, 1);
  GradientReduction reduction(named_weights(*network), 1);
  reduction.connect(std::make_unique<TreeReducer>(world, lanes_of(1, 0, 1), reduction.elements(), "test"), 1);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    reduction.add_lane([&] { return std::vector<float>{bad}; });
    reduction.wait();
    EXPECT_THROW(reduction.take(1, "test"), Error);
  }
  reduction.add_lane([&] { return std::vector<float>{3.0e38f}; });  // a lane without any gradient gives zeros
  reduction.wait();
  EXPECT_EQ(reduction.take(1, "test"), std::vector<float>{3.0e38f});
}

TEST(Exchange, AWeightsNonFiniteGradientIsNotApplied) {
  LonelyCommunicator world(0, 1);
  const auto network = make_energy({"light", 4, false, "random"}, 1);
  const auto weights = named_weights(*network);
  GradientReduction reduction(weights, 1);
  reduction.connect(std::make_unique<TreeReducer>(world, lanes_of(1, 0, 1), reduction.elements(), "test"), 1);
  for (const std::size_t which : {std::size_t{0}, weights.size() - 1}) {
    reduction.add_lane([&] {
      auto weight = weights[which].second;
      weight.mutable_grad() = torch::zeros_like(weight);
      weight.mutable_grad().view({-1})[0] = std::numeric_limits<float>::infinity();
      return std::vector<float>{1.0f};
    });
    reduction.wait();
    EXPECT_THROW(reduction.take(1, "test"), Error) << weights[which].first;
    for (const auto& [name, weight] : weights)
      EXPECT_TRUE(!weight.grad().defined() || weight.grad().abs().max().item<float>() == 0) << name;
  }
}

TEST(GradientWatch, TellsOfEachWeightOnceAPassAndNoLonger) {
  const auto network = make_energy({"light", 4, false, "random"}, 1);
  const auto weights = named_weights(*network);
  std::vector<std::size_t> order;
  const auto pass = [&] { network->energy(torch::zeros({1, 3, 32, 32})).sum().backward(); };
  {
    const GradientWatch watch(weights, [&](std::size_t i) {
      EXPECT_TRUE(weights[i].second.grad().defined());
      order.push_back(i);
    });
    pass();
  }
  pass();
  ASSERT_EQ(order.size(), weights.size());
  EXPECT_LT(order.back(), 2u);  // the first layer comes last
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
}

}  // namespace
}  // namespace langrun
