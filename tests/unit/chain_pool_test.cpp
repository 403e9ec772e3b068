// Chains by rounds against whole calls of the sampler, forwards and back.
#include "jobs/chain_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "core/torch.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

constexpr std::int64_t kCall = 4;

/// Chains of one energy and a pool of them.
struct Pooled {
  explicit Pooled(const EnergyConfig& config, std::int64_t steps, std::int64_t round)
      : energy(make_energy(config, 2)), sampler(config, "fp32", at::kCPU) {
    sampler.refresh(*energy);
    settings.langevin.steps = steps;
    settings.langevin.eta = 0.02;
    settings.langevin.temperature = config.network == "mlp2d" ? 1e-2 : 1e-3;
    settings.key = noise_key(9, Stream::evaluation_chain);
    settings.call = kCall;
    settings.round = round;
    curvature = curvature_product({{energy.get(), 1}}, 0, {});
  }
  ChainPool pool() { return {sampler, curvature, settings}; }
  std::vector<PooledChain> chains(std::size_t count) const {
    std::vector<PooledChain> chains(count);
    for (std::size_t i = 0; i < count; ++i) {
      chains[i].identity = 1000 + 17 * i;
      chains[i].x = some_images(1, energy->input(), i + 1).contiguous(at::MemoryFormat::ChannelsLast);
    }
    return chains;
  }
  /// The chain's states 0 .. K in calls that it shares with copies of itself; `record` of all K steps at once.
  std::vector<at::Tensor> states(const PooledChain& start) {
    ChainNoise noise{.key = settings.key, .identities = std::vector<std::uint64_t>(kCall, start.identity)};
    std::vector<at::Tensor> states{start.x.expand({kCall, -1, -1, -1}).contiguous(at::MemoryFormat::ChannelsLast)};
    auto one = settings.langevin;
    one.steps = 1;
    for (std::int64_t k = 0; k < settings.langevin.steps; ++k, ++noise.first_step)
      states.push_back(sampler.run(states.back(), one, noise));
    return states;
  }
  SampledChains whole(const PooledChain& start) {
    const ChainNoise noise{.key = settings.key, .identities = std::vector<std::uint64_t>(kCall, start.identity)};
    const auto sampled = sampler.start(start.x.expand({kCall, -1, -1, -1}), settings.langevin, noise);
    sampler.finish();
    return sampled;
  }

  std::shared_ptr<Energy> energy;
  ChainSampler sampler;
  ChainPoolConfig settings;
  CurvatureProduct curvature;
};

std::vector<PooledChain*> pointers(std::vector<PooledChain>& chains) {
  std::vector<PooledChain*> all;
  for (auto& chain : chains) all.push_back(&chain);
  return all;
}

TEST(ChainPool, RoundsHaveTheBitsOfOneCallOfAllSteps) {
  for (const char* network : {"light", "sngan32"}) {
    Pooled parts({network, 8}, 7, 3);
    auto pool = parts.pool();
    auto chains = parts.chains(6);
    const auto starts = chains;
    EXPECT_EQ(pool.rounds(), 3);
    for (std::int64_t round = 0; round < pool.rounds(); ++round) {
      pool.advance(pointers(chains));
      for (const auto& chain : chains) EXPECT_EQ(chain.step, std::min<std::int64_t>(3 * (round + 1), 7));
    }
    for (std::size_t i = 0; i < chains.size(); ++i) {
      const auto expected = parts.whole(starts[i]);
      EXPECT_TRUE(torch::equal(chains[i].x, expected.chains.narrow(0, 0, 1))) << network << " " << i;
      EXPECT_EQ(chains[i].first_energy, expected.record.first_energy[0].item<float>());
      EXPECT_EQ(chains[i].last_energy, expected.record.last_energy[0].item<float>());
      EXPECT_TRUE(chains[i].trail.empty()) << "nobody goes back";
    }
    // Two calls of seven steps: one of four chains, one of two with two places that wait.
    EXPECT_EQ(pool.counts().calls, 14U);
    EXPECT_EQ(pool.counts().moves, 42U);
    EXPECT_EQ(pool.counts().waiting, 14U);
    EXPECT_EQ(pool.counts().curvature, 0U);
  }
}

TEST(ChainPool, WhoSharesACallIsNobodysBusiness) {
  Pooled parts({"light", 8}, 7, 3);
  auto pool = parts.pool();
  auto chains = parts.chains(5);
  const auto starts = chains;
  // One more enters each round, behind the others and before them, so that ages mix and the last round's one step
  // waits for the others' three.
  for (std::size_t round = 0; round < chains.size() + 2; ++round) {
    std::vector<PooledChain*> now;
    for (std::size_t i = 0; i < chains.size(); ++i)
      if (i <= round && chains[i].step < 7) now.push_back(&chains[i]);
    if (round % 2 == 1) std::reverse(now.begin(), now.end());
    pool.advance(now);
  }
  for (std::size_t i = 0; i < chains.size(); ++i) {
    EXPECT_EQ(chains[i].step, 7);
    EXPECT_TRUE(torch::equal(chains[i].x, parts.whole(starts[i]).chains.narrow(0, 0, 1))) << i;
    EXPECT_EQ(chains[i].last_energy, parts.whole(starts[i]).record.last_energy[0].item<float>()) << i;
  }
  EXPECT_EQ(pool.counts().moves, 35U);
  EXPECT_EQ(pool.counts().calls * kCall, pool.counts().moves + pool.counts().waiting);
}

// Backwards through every round, and the same by all states at once.
void expect_way_back(const EnergyConfig& config, bool bends) {
  Pooled parts(config, 7, 3);
  auto pool = parts.pool();
  auto chains = parts.chains(6);
  const auto starts = chains;
  for (auto& chain : chains) chain.pathwise = true;
  for (std::int64_t round = 0; round < pool.rounds(); ++round) pool.advance(pointers(chains));
  EXPECT_EQ(pool.counts().curvature, 0U);
  std::vector<at::Tensor> cotangents;
  for (std::size_t i = 0; i < chains.size(); ++i) {
    EXPECT_EQ(chains[i].trail.size(), 3U);
    EXPECT_TRUE(torch::equal(chains[i].x, parts.whole(starts[i]).chains.narrow(0, 0, 1)));
    cotangents.push_back(some_images(1, parts.energy->input(), 50 + i));
  }
  // The first two begin their way back a round before the others, whose call then holds chains of both ages.
  for (std::size_t i = 0; i < 2; ++i) chains[i].cotangent = cotangents[i].clone();
  pool.advance({&chains[0], &chains[1]});
  for (std::size_t i = 2; i < chains.size(); ++i) chains[i].cotangent = cotangents[i].clone();
  for (int round = 0; round < 3; ++round) {
    std::vector<PooledChain*> now;
    for (auto& chain : chains)
      if (!chain.trail.empty()) now.push_back(&chain);
    pool.advance(now);
  }
  for (std::size_t i = 0; i < chains.size(); ++i) {
    EXPECT_TRUE(chains[i].trail.empty());
    auto states = parts.states(starts[i]);
    states.pop_back();
    const auto v = cotangents[i].expand({kCall, -1, -1, -1}).contiguous(at::MemoryFormat::ChannelsLast);
    const auto expected = pull_back({states, std::vector<std::int64_t>(kCall, 7)}, v,
                                    parts.settings.langevin.gradient_weight(), parts.curvature);
    EXPECT_TRUE(torch::equal(chains[i].cotangent, expected.narrow(0, 0, 1))) << config.network << " " << i;
    EXPECT_EQ(torch::equal(chains[i].cotangent, cotangents[i]), !bends) << config.network << " " << i;
    EXPECT_TRUE(torch::equal(chains[i].x, starts[i].x)) << "back where it came from";
  }
  // Back by one step (of the first two); by three (of four chains, two of which make one) and one; by three and three;
  // by three (of the last four alone).
  EXPECT_EQ(pool.counts().curvature, 1U + 4U + 6U + 3U);
}

TEST(ChainPool, GoesBackThroughRoundsAsThroughAllStates) {
  expect_way_back({"mlp2d", 16}, true);
  expect_way_back({"light", 8}, false);
}

TEST(ChainPool, RoundsWasteFewPlaces) {
  for (const std::int64_t steps : {50, 97, 200, 1499, 1500, 2000})
    for (const std::int64_t about : {std::int64_t{32}, static_cast<std::int64_t>(std::llround(std::sqrt(steps)))}) {
      const auto round = steps_of_round(steps, about);
      ASSERT_GE(round, 1);
      EXPECT_LE(round, 64);
      EXPECT_GE(round, about / 2);
      const auto made = (steps + round - 1) / round * round;
      EXPECT_LT(static_cast<double>(made - steps), 0.03 * static_cast<double>(made)) << steps << " by " << round;
    }
  EXPECT_EQ(steps_of_round(20, 32), 20);
  EXPECT_EQ(steps_of_round(1, 32), 1);
}

}  // namespace
}  // namespace langrun
