// The model behind `plan`: traces played for more images, memory over phases, times over ranks. What it says of whole
// runs is held against real ones by tests/ranks/plan.sh.
#include "jobs/plan.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/memory_trace.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "core/updates.h"
#include "jobs/plan_memory.h"
#include "jobs/plan_scaling.h"

namespace langrun {
namespace {

constexpr double kMiB = 1 << 20;

TEST(MemoryTrace, SeesWhatIsHeldAtOnce) {
  const auto before = torch::ones({1024});
  at::Tensor kept;
  const auto trace = trace_memory([&] {
    { const auto gone = torch::ones({1024, 256}); }  // 1 MiB
    kept = torch::ones({2048, 256});                 // 2 MiB
    const auto beside = torch::ones({1024, 256});
  });
  EXPECT_DOUBLE_EQ(trace.peak().heap, 3 * kMiB);
  EXPECT_DOUBLE_EQ(trace.peak().mapped, 0);
  EXPECT_DOUBLE_EQ(trace.left().heap, 2 * kMiB);
}

TEST(MemoryTrace, LargeBlocksCountForThemselves) {
  const auto trace = trace_memory([&] {
    { const auto large = torch::empty({static_cast<std::int64_t>(kMappedFrom)}, torch::kUInt8); }
    const auto small = torch::empty({1024, 256});
  });
  EXPECT_DOUBLE_EQ(trace.peak().mapped, static_cast<double>(kMappedFrom));
  EXPECT_DOUBLE_EQ(trace.peak().heap, kMiB);
}

// The claim that all of plan rests on: two small calls say what a large one holds.
TEST(MemoryTrace, ALaneOfManyImagesFromTwoOfFew) {
  for (const char* network : {"light", "sngan32"}) {
    EnergyConfig config;
    config.network = network;
    config.width = 16;
    const auto energy = make_energy(config, 1);
    const auto image = energy->input();
    const auto data =
        torch::rand({20, image.channels, image.height, image.width}).contiguous(at::MemoryFormat::ChannelsLast);
    const auto pass = [&](std::int64_t n) {
      energy_lane_gradients(*energy, data.narrow(0, 0, n), data.narrow(0, 0, n), 1);
      energy->zero_grad(true);
    };
    pass(3);
    const auto foretold = trace_for(20, pass).peak();
    const auto seen = trace_memory([&] { pass(20); }).peak();
    EXPECT_NEAR(foretold.total(), seen.total(), 0.001 * seen.total()) << network;
    EXPECT_GT(seen.heap, kMiB);
  }
}

TEST(MemoryTrace, DifferentComputationsAreRefused) {
  const auto one = trace_memory([] { const auto a = torch::ones({4}); });
  const auto two = trace_memory([] { const auto a = torch::ones({4}), b = torch::ones({4}); });
  EXPECT_THROW(extrapolated(one, 2, two, 3, 8), Error);
}

RankNeeds some_needs() {
  RankNeeds needs;
  needs.image = {3, 32, 32};
  needs.ranks = 2;
  needs.lanes = 8;
  needs.owned = 4;
  needs.lane_batch = 16;
  needs.gradients = {1e6};
  needs.banks = {{10000, 0}};
  needs.sampling_images = 3;
  needs.update_images = 2;
  return needs;
}

double part(const RankMemory& memory, const std::string& name) {
  for (const auto& one : memory.parts)
    if (one.name == name) return one.bytes;
  return 0;
}

TEST(PlanMemory, TheBankIsSharedByRanks) {
  const auto needs = some_needs();
  // Half of 10000 slots of 3 x 32 x 32 floats, with two ages of 8 bytes.
  EXPECT_NEAR(part(memory_of(needs), kBankPart), 5000 * (4.0 * 3072 + 16), 1);
  auto all = needs;
  all.ranks = 1;
  all.owned = 8;
  EXPECT_NEAR(part(memory_of(all), kBankPart), 10000 * (4.0 * 3072 + 16), 1);
}

TEST(PlanMemory, PhasesShareTheHeapButNotMappedBlocks) {
  auto needs = some_needs();
  needs.banks.clear();
  const double images = 2 * 4 * 16 * 4.0 * 3072;
  needs.sampling_images = 2;
  needs.sampling = {100 * kMiB, 0};
  needs.update = {60 * kMiB, 0};
  EXPECT_NEAR(part(memory_of(needs), "activations"), 100 * kMiB, 1);
  // What stays in the heap from one phase is there beside what is mapped in another.
  needs.update = {0, 60 * kMiB};
  EXPECT_NEAR(part(memory_of(needs), "activations"), 160 * kMiB, 1);
  EXPECT_GT(part(memory_of(needs), "images of a step"), images);
}

TEST(PlanMemory, TheTreeHoldsAVectorALevel) {
  auto needs = some_needs();
  // Lanes 0 to 3: two levels and the last; of the other rank half a vector.
  EXPECT_NEAR(part(memory_of(needs), "gradients exchanged"), 4e6 * 3.5, 1);
  needs.ranks = 8;
  needs.owned = 1;
  EXPECT_NEAR(part(memory_of(needs), "gradients exchanged"), 4e6 * 1.875, 1);
}

TEST(PlanScaling, OneRankDoesNotExchange) {
  ScalingModel model;
  model.gradient_seconds = 1e-3;
  model.update_seconds = 5e-3;
  model.chain_steps = 40;
  model.weights = 25e6;
  model.network = 1e9;
  model.latency = 0;
  const auto alone = step_time(model, 64, 1);
  EXPECT_NEAR(alone.sample, 2.56, 1e-9);
  EXPECT_NEAR(alone.update, 0.32, 1e-9);
  EXPECT_EQ(alone.exchange, 0);
  // 2 (R - 1) / R times 100 MB.
  EXPECT_NEAR(step_time(model, 64, 4).exchange, 0.15, 1e-9);
  EXPECT_NEAR(network_needed(model, 64, 4, 0.05), 150e6 / (0.05 * 0.72), 1);
}

TEST(PlanScaling, Curves) {
  ScalingModel model;
  model.gradient_seconds = 1e-3;
  model.chain_steps = 40;
  model.weights = 25e6;
  const auto weak = weak_scaling(model, 16);
  ASSERT_EQ(weak.size(), 11U);
  EXPECT_EQ(weak.back().ranks, 1024);
  EXPECT_EQ(weak.back().batch, 16 * 1024);
  const auto strong = strong_scaling(model, 64);
  // A lane is one image at least.
  EXPECT_EQ(strong.front().batch, 1024);
  EXPECT_EQ(strong.back().batch, 1024);
  for (const auto* curve : {&weak, &strong})
    for (std::size_t i = 1; i < curve->size(); ++i) {
      EXPECT_LE((*curve)[i].efficiency, (*curve)[i - 1].efficiency + 1e-12);
      EXPECT_GT((*curve)[i].efficiency, 0);
    }
  EXPECT_LT(strong.back().efficiency, weak.back().efficiency);
}

TEST(PlanScaling, ASlowDiskHoldsTrainingUp) {
  ScalingModel model;
  model.gradient_seconds = 1e-3;
  model.chain_steps = 10;
  model.fixed_bytes = 1e9;
  model.disk = 1e8;
  model.checkpoint_every = 10;
  // 10 s a checkpoint, ten steps of 0.64 s between two.
  EXPECT_NEAR(step_time(model, 64, 1).total(), 1, 1e-9);
  EXPECT_NEAR(disk_needed(model, 64, 1), 1e9 / 6.4, 1);
  model.disk = 1e9;
  EXPECT_EQ(step_time(model, 64, 1).checkpoint, 0);
}

ShortrunConfig small_shortrun() {
  ShortrunConfig config;
  config.training.job = "shortrun";
  config.training.batch = 64;
  config.training.device = "cpu";
  config.energy.network = "light";
  config.energy.width = 8;
  config.generator.width = 8;
  config.bank_size = 1000;
  config.langevin.steps = 3;
  return config;
}

TEST(Plan, CountsWhatLearnsAndIsWritten) {
  const auto world = make_solo_communicator();
  const auto config = small_shortrun();
  const auto plan = plan_job(config, {4, 0}, *world);
  EXPECT_EQ(plan.owned, 2);
  EXPECT_EQ(plan.lane_batch, 8);
  EXPECT_EQ(plan.image_steps, 3 * 64);
  double weights = 0;
  for (const auto& weight : make_energy(config.energy, 1)->parameters()) weights += static_cast<double>(weight.numel());
  for (const auto& weight : make_generator(config.generator, 1)->parameters())
    weights += static_cast<double>(weight.numel());
  EXPECT_EQ(plan.weights, weights);
  EXPECT_NEAR(plan.exchanged_bytes(4), 6 * weights, 1);
  // Images, latents of 128 and two ages; weights, averages and Adam's two moments of each.
  EXPECT_NEAR(plan.checkpoint_bytes, 1000 * (4 * (3072 + 128) + 16) + 16 * weights, 0.02 * weights * 4);
  EXPECT_GT(plan.gradient_seconds, 0);
  EXPECT_GT(plan.update_seconds, 0);
  EXPECT_GT(plan.host_bytes(), plan.host_bytes() - plan.other_ranks_less);
}

TEST(Plan, RefusesWhatTheJobWouldRefuse) {
  const auto world = make_solo_communicator();
  EXPECT_THROW(plan_job(small_shortrun(), {3, 0}, *world), Error);
  auto small_bank = small_shortrun();
  small_bank.bank_size = 32;
  EXPECT_THROW(plan_job(small_bank, {1, 0}, *world), Error);
  ConvergentConfig convergent;
  convergent.training = small_shortrun().training;
  convergent.energy = small_shortrun().energy;
  EXPECT_THROW(plan_job(convergent, {1, 0}, *world), Error);
  EXPECT_NO_THROW(plan_job(convergent, {1, 5000}, *world));
}

HatConfig small_hat() {
  const auto like = small_shortrun();
  HatConfig config;
  config.training = like.training;
  config.training.job = "hat";
  config.energy = like.energy;
  config.generator = like.generator;
  config.langevin = like.langevin;
  config.mode = "refine";
  return config;
}

TEST(Plan, AFrozenGeneratorThatIsNotThereYet) {
  const auto world = make_solo_communicator();
  const auto config = small_hat();
  const auto plan = plan_job(config, {4, 0}, *world);
  double energy = 0, generator = 0, optimiser = 0;
  for (const auto& weight : make_energy(config.energy, 1)->parameters()) energy += static_cast<double>(weight.numel());
  for (const auto& weight : make_generator(config.generator, 1)->parameters())
    generator += static_cast<double>(weight.numel());
  for (const auto& one : plan.memory) optimiser += one.name == "optimiser" ? one.bytes : 0;
  // It has no optimiser, no average, and nothing to exchange, but goes into checkpoints.
  EXPECT_EQ(plan.weights, energy);
  EXPECT_NEAR(optimiser, 8 * energy, 0.03 * 8 * energy);
  EXPECT_NEAR(plan.checkpoint_bytes, 16 * energy + 4 * generator, 0.03 * 4 * (energy + generator));
  auto wider = config;
  wider.generator.width = 16;
  EXPECT_GT(plan_job(wider, {4, 0}, *world).checkpoint_bytes, plan.checkpoint_bytes);
}

TEST(Plan, RefusesAGeneratorThatIsMissingOrOfAnotherSize) {
  const auto world = make_solo_communicator();
  auto larger = small_hat();
  larger.generator.network = "sngan64";
  larger.generator.width = 16;
  EXPECT_THROW(plan_job(larger, {4, 0}, *world), Error);
  auto missing = small_hat();
  missing.source.generator = "/nowhere/at/all";
  EXPECT_THROW(plan_job(missing, {4, 0}, *world), Error);
}

}  // namespace
}  // namespace langrun
