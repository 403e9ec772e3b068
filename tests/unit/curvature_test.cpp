// The gradient back through a chain: against finite differences, against a stored graph, and where it is BPDA's.
#include "core/curvature.h"

#include <gtest/gtest.h>

#include "core/networks/energies.h"
#include "core/torch.h"
#include "jobs/chain_pool.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

constexpr double kWeight = 0.7, kEta = 0.01;

/// A chain by its definition, with the smoothed energy's own gradient: states x_0 .. x_K, in x's type.
std::vector<at::Tensor> walk(Energy& energy, const at::Tensor& x, const std::vector<at::Tensor>& noise,
                             const Activation& smooth) {
  std::vector<at::Tensor> states{x};
  for (const auto& z : noise) {
    const at::AutoGradMode grad(true);
    const auto image = states.back().detach().requires_grad_();
    const auto slope = torch::autograd::grad({energy.energy_with(image, smooth).sum()}, {image})[0];
    states.push_back((image - kWeight * slope + kEta * z).detach());
  }
  return states;
}

std::vector<at::Tensor> noise_like(const at::Tensor& x, std::int64_t steps) {
  auto generator = at::detail::createCPUGenerator(4);
  std::vector<at::Tensor> noise;
  for (std::int64_t k = 0; k < steps; ++k) noise.push_back(at::randn(x.sizes(), generator, x.options()));
  return noise;
}

at::Tensor pulled(Energy& energy, std::vector<at::Tensor> states, const at::Tensor& v, const Activation& smooth) {
  states.pop_back();
  ChainPiece piece{states, std::vector<std::int64_t>(static_cast<std::size_t>(v.size(0)),
                                                     static_cast<std::int64_t>(states.size()))};
  return pull_back(piece, v, kWeight, curvature_product({{&energy, 1}}, 0, smooth));
}

TEST(Curvature, ThePathwiseGradientIsThatOfFiniteDifferences) {
  const auto energy = make_energy({.network = "light", .width = 4}, 3);
  energy->to(torch::kDouble);
  const Activation smooth{5};
  const auto x = some_images(2, 32).to(torch::kDouble), v = some_images(2, 32, 8).to(torch::kDouble);
  const auto noise = noise_like(x, 6);
  const auto gradient = pulled(*energy, walk(*energy, x, noise, smooth), v, smooth);
  // v . x_K as a function of x, along a few directions.
  for (std::uint64_t seed = 20; seed < 24; ++seed) {
    const auto way = some_images(2, 32, seed).to(torch::kDouble);
    constexpr double h = 1e-4;
    const auto end = [&](double at) { return (walk(*energy, x + at * way, noise, smooth).back() * v).sum().item<double>(); };
    const double slope = (8 * (end(h) - end(-h)) - (end(2 * h) - end(-2 * h))) / (12 * h);
    EXPECT_NEAR((gradient * way).sum().item<double>() / slope, 1, 1e-6);
  }
}

TEST(Curvature, ThePathwiseGradientIsThatOfAStoredGraph) {
  const auto energy = make_energy({.network = "light", .width = 8}, 3);
  const ConstantWeights constant(*energy);
  const Activation smooth{10};
  const auto x = some_images(3, 32), v = some_images(3, 32, 8);
  const auto noise = noise_like(x, 20);
  const at::AutoGradMode grad(true);
  const auto start = x.clone().requires_grad_();
  auto state = start;
  for (const auto& z : noise) {
    const auto u = energy->energy_with(state, smooth);
    const auto slope = torch::autograd::grad({u}, {state}, {torch::ones_like(u)}, true, /*create_graph=*/true)[0];
    state = state - kWeight * slope + kEta * z;
  }
  const auto stored = torch::autograd::grad({state}, {start}, {v})[0];
  const auto gradient = pulled(*energy, walk(*energy, x, noise, smooth), v, smooth);
  EXPECT_LT(relative_difference(gradient, stored), 1e-4);
  EXPECT_GT(relative_difference(v, stored), 1e-4);  // the chain does bend it
}

TEST(Curvature, OfAPiecewiseLinearEnergyItIsBpdas) {
  for (const EnergyConfig& config : {EnergyConfig{.network = "light", .width = 8}, EnergyConfig{.network = "sngan32", .width = 8}}) {
    const auto energy = make_energy(config, 3);
    EXPECT_TRUE(energy->piecewise_linear());
    const auto x = some_images(2, 32), v = some_images(2, 32, 8);
    const auto states = walk(*energy, x, noise_like(x, 5), {});
    EXPECT_TRUE(torch::equal(pulled(*energy, states, v, {}), v)) << config.network;
    EXPECT_FALSE(torch::equal(pulled(*energy, states, v, {10}), v)) << config.network << " smoothed";
  }
}

TEST(Curvature, OfASmoothEnergyItIsNot) {
  const auto energy = make_energy({.network = "mlp2d", .width = 8}, 3);
  EXPECT_FALSE(energy->piecewise_linear());
  const auto x = some_images(4, energy->input()), v = some_images(4, energy->input(), 8);
  EXPECT_GT(relative_difference(pulled(*energy, walk(*energy, x, noise_like(x, 3), {}), v, {}), v), 1e-4);
}

TEST(Curvature, TermsAndSharesAddUp) {
  const auto energy = make_energy({.network = "mlp2d", .width = 8}, 3), prior = make_energy({.network = "mlp2d", .width = 4}, 5);
  const auto x = some_images(4, energy->input()), v = some_images(4, energy->input(), 8);
  const auto one = curvature_product({{energy.get(), 1}}, 0, {})(x, v), other = curvature_product({{prior.get(), 1}}, 0, {})(x, v);
  const auto sum = curvature_product({{energy.get(), 1}, {prior.get(), 0.3}}, 0.2, {})(x, v);
  EXPECT_LT(relative_difference(sum, one + 0.3 * other + 0.2 * v), 1e-6);
}

/// A pool over a light energy.
struct Pool {
  std::shared_ptr<Energy> energy = make_energy({.network = "light", .width = 4}, 3);
  ChainSampler sampler{{.network = "light", .width = 4}, "fp32", at::kCPU};
  ChainPoolConfig config;
  std::optional<ChainPool> pool;

  Pool(std::int64_t steps, std::int64_t call, std::int64_t round, const Activation& smooth = {}) {
    sampler.refresh(*energy);
    config = {{.steps = steps, .eta = 0.01, .temperature = 1e-2}, noise_key(2, Stream::evaluation_chain), call, round};
    pool.emplace(sampler, curvature_product({{energy.get(), 1}}, 0, smooth), config);
  }
  std::vector<PooledChain> chains(std::int64_t count) const {
    const auto images = some_images(count, 32);
    std::vector<PooledChain> all(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      all[static_cast<std::size_t>(i)].identity = 100 + static_cast<std::uint64_t>(i);
      all[static_cast<std::size_t>(i)].x = images.narrow(0, i, 1).clone(at::MemoryFormat::ChannelsLast);
      all[static_cast<std::size_t>(i)].pathwise = true;
    }
    return all;
  }
  static std::vector<PooledChain*> pointers(std::vector<PooledChain>& chains) {
    std::vector<PooledChain*> all;
    for (auto& chain : chains) all.push_back(&chain);
    return all;
  }
};

TEST(ChainPool, RoundsHaveTheBitsOfOneWalkWhateverTheNeighbours) {
  Pool pool(11, 4, 4);
  auto chains = pool.chains(4);
  // The last two begin a round later, and one call holds chains of two ages then.
  auto all = Pool::pointers(chains);
  pool.pool->advance({all[0], all[1]});
  for (int round = 0; round < 2; ++round) pool.pool->advance({all[2], all[0], all[3], all[1]});
  pool.pool->advance({all[3], all[2]});
  auto fresh = pool.chains(4);
  std::vector<at::Tensor> images;
  ChainNoise noise{.key = pool.config.key, .identities = {100, 101, 102, 103}};
  for (const auto& chain : fresh) images.push_back(chain.x);
  const auto whole = pool.sampler.run(torch::cat(images), pool.config.langevin, noise);
  for (std::int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(chains[static_cast<std::size_t>(i)].step, 11);
    EXPECT_TRUE(torch::equal(chains[static_cast<std::size_t>(i)].x, whole.narrow(0, i, 1))) << i;
  }
  // Four rounds; 2 x 11 + 2 x 11 moves; what was not a move waited.
  const auto& counts = pool.pool->counts();
  EXPECT_EQ(counts.moves, 44u);
  EXPECT_EQ(counts.moves + counts.waiting, 4 * counts.calls);
}

TEST(ChainPool, TheWayBackIsThatOverAllStates) {
  const Activation smooth{10};
  Pool pool(11, 3, 4, smooth);
  auto chains = pool.chains(2);
  const auto all = Pool::pointers(chains);
  for (int round = 0; round < 3; ++round) pool.pool->advance(all);
  const auto v = some_images(2, 32, 8);
  for (std::int64_t i = 0; i < 2; ++i)
    chains[static_cast<std::size_t>(i)].cotangent = v.narrow(0, i, 1).clone(at::MemoryFormat::ChannelsLast);
  for (int round = 0; round < 3; ++round) pool.pool->advance(all);
  // Every state, one step at a time, in calls of the same shape.
  auto one = pool.config.langevin;
  one.steps = 1;
  ChainNoise noise{.key = pool.config.key, .identities = {100, 101, 0}};
  const auto fresh = pool.chains(2);
  ChainPiece piece{{torch::cat({fresh[0].x, fresh[1].x, fresh[0].x})}, {11, 11, 0}};
  for (; noise.first_step < 10; ++noise.first_step) piece.states.push_back(pool.sampler.run(piece.states.back(), one, noise));
  const auto whole = pull_back(piece, torch::cat({v, v.narrow(0, 0, 1)}).contiguous(at::MemoryFormat::ChannelsLast),
                               one.gradient_weight(), curvature_product({{pool.energy.get(), 1}}, 0, smooth));
  for (std::int64_t i = 0; i < 2; ++i)
    EXPECT_TRUE(torch::equal(chains[static_cast<std::size_t>(i)].cotangent, whole.narrow(0, i, 1))) << i;
  EXPECT_TRUE(chains[0].trail.empty());
}

TEST(ChainPool, RoundsWasteLittle) {
  for (const std::int64_t steps : {50, 97, 200, 1499, 1500, 2000}) {
    const auto round = steps_of_round(steps, 32);
    const auto made = (steps + round - 1) / round * round;
    EXPECT_LT(static_cast<double>(made - steps), 0.03 * static_cast<double>(steps)) << steps << " in rounds of " << round;
  }
  EXPECT_EQ(steps_of_round(5, 32), 5);
}

}  // namespace
}  // namespace langrun
