// Derivatives of chains with respect to their starts, against differences and against autograd through the whole chain.
#include "core/curvature.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/networks/energy.h"
#include "core/torch.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

/// Noise that stays the same from call to call.
at::Tensor some_noise(const at::Tensor& like, std::int64_t step) {
  auto generator = at::detail::createCPUGenerator(100 + static_cast<std::uint64_t>(step));
  return at::randn(like.sizes(), generator, at::kDouble).to(like.scalar_type());
}

/// grad U, differentiable once more where `create_graph`.
at::Tensor slope_of(Energy& energy, const at::Tensor& x, const Activation& activation, bool create_graph) {
  const at::AutoGradMode grad(true);
  const auto image = create_graph ? x : x.detach().requires_grad_();
  const auto u = energy.energy_with(image, activation);
  return torch::autograd::grad({u}, {image}, {torch::ones_like(u)}, create_graph, create_graph)[0];
}

struct Chain {
  Activation activation;
  double weight = 0.5, eta = 0.02;
  std::int64_t steps = 20;

  at::Tensor next(Energy& energy, const at::Tensor& x, std::int64_t k, bool graph = false) const {
    return x - weight * slope_of(energy, x, activation, graph) + eta * some_noise(x, k);
  }
  at::Tensor end(Energy& energy, at::Tensor x) const {
    for (std::int64_t k = 0; k < steps; ++k) x = next(energy, x, k);
    return x;
  }
  ChainPiece piece(Energy& energy, at::Tensor x) const {
    ChainPiece piece;
    piece.made.assign(static_cast<std::size_t>(x.size(0)), steps);
    for (std::int64_t k = 0; k < steps; ++k) {
      piece.states.push_back(x);
      x = next(energy, x, k);
    }
    return piece;
  }
};

/// Weights large enough that a chain's derivative is far from the identity.
void sharpen(Energy& energy, double factor) {
  const torch::NoGradGuard constant;
  for (auto& weight : energy.parameters()) weight.mul_(factor);
}

TEST(Curvature, PathwiseGradientIsThatOfDifferences) {
  const auto light = make_energy({"light", 4}, 3);
  auto& energy = *light;
  energy.to(torch::kDouble);
  sharpen(energy, 2.5);
  const Chain chain{{10}, 2, 0.02, 8};
  const auto x = some_images(2, 32).to(torch::kDouble);
  const auto v = some_noise(x, 1000);
  const auto pulled = pull_back(chain.piece(energy, x), v, chain.weight, curvature_product({{&energy, 1}}, 0, {10}));
  EXPECT_GT(relative_difference(pulled, v), 0.1) << "the chain bends too little to tell anything";
  for (int direction = 0; direction < 4; ++direction) {
    const auto d = direction == 0 ? pulled / pulled.norm() : some_noise(x, 2000 + direction) / 10;
    constexpr double kStep = 1e-5;
    const auto difference = (chain.end(energy, x + kStep * d) - chain.end(energy, x - kStep * d)) / (2 * kStep);
    const double expected = (difference * v).sum().item<double>(), found = (pulled * d).sum().item<double>();
    EXPECT_NEAR(found, expected, 1e-6 * std::abs(expected)) << direction;
  }
}

TEST(Curvature, PullsBackAsAStoredGraphDoes) {
  for (const auto& config : {EnergyConfig{"light", 8}, EnergyConfig{"sngan32", 8}, EnergyConfig{"mlp2d", 16}}) {
    const auto energy = make_energy(config, 5);
    if (config.network != "mlp2d") sharpen(*energy, config.network == "light" ? 2.5 : 1.3);
    const Chain chain{{8}, config.network == "mlp2d" ? 0.02 : 0.7, 0.02, 20};
    const auto start = some_images(3, energy->input());
    const auto v = some_noise(start, 1000);
    at::Tensor expected;
    {
      const ConstantWeights constant(*energy);
      const auto leaf = start.detach().requires_grad_();
      auto x = leaf;
      for (std::int64_t k = 0; k < chain.steps; ++k) x = chain.next(*energy, x, k, /*graph=*/true);
      expected = torch::autograd::grad({x}, {leaf}, {v})[0];
    }
    const auto pulled = pull_back(chain.piece(*energy, start), v, chain.weight,
                                  curvature_product({{energy.get(), 1}}, 0, chain.activation));
    EXPECT_LT(relative_difference(pulled, expected), 1e-4) << config.network;
    EXPECT_GT(relative_difference(pulled, v), 1e-2) << config.network;
  }
}

TEST(Curvature, PiecewiseLinearEnergiesLeaveTheGradientAsItIs) {
  for (const auto& config : {EnergyConfig{"light", 8}, EnergyConfig{"sngan32", 8}}) {
    const auto energy = make_energy(config, 5);
    ASSERT_TRUE(energy->piecewise_linear());
    const Chain chain{{}, 50, 0.02, 6};
    const auto x = some_images(3, energy->input());
    const auto v = some_noise(x, 1000);
    const auto piece = chain.piece(*energy, x);
    EXPECT_TRUE(torch::equal(hessian_product(*energy, x, v, {}), torch::zeros_like(x))) << "by differentiating";
    EXPECT_TRUE(torch::equal(pull_back(piece, v, 50, curvature_product({{energy.get(), 1}}, 0, {})), v))
        << config.network;
    const auto smooth = curvature_product({{energy.get(), 1}}, 0, {10});
    EXPECT_GT(smooth(x, v).norm().item<double>(), 0) << config.network;
    EXPECT_GT(relative_difference(pull_back(piece, v, 50, smooth), v), 1e-6) << config.network;
  }
}

/// Piecewise linear, by what it says, and never to be called.
class Silent final : public Energy {
 public:
  ImageShape input() const override { return {1, 1, 3}; }
  at::Tensor energy_with(const at::Tensor& x, const Activation& activation) override {
    if (activation.sharpness == 0) throw std::logic_error("asked for a curvature that is zero");
    return x.square().sum({1, 2, 3});
  }
  bool piecewise_linear() const override { return true; }
};

TEST(Curvature, PiecewiseLinearEnergiesAreNotCalledForIt) {
  Silent silent;
  const auto x = torch::ones({2, 1, 1, 3}), v = torch::arange(6.0f).view({2, 1, 1, 3});
  EXPECT_TRUE(torch::equal(curvature_product({{&silent, 1}}, 0.25, {})(x, v), 0.25 * v));
  EXPECT_TRUE(torch::equal(curvature_product({{&silent, 1}}, 0, {})(x, v), torch::zeros_like(v)));
  EXPECT_TRUE(torch::equal(curvature_product({{&silent, 1}}, 0.25, {10})(x, v), 2.25 * v)) << "a softplus bends";
}

TEST(Curvature, CurvedEnergiesDoNot) {
  const auto energy = make_energy({"mlp2d", 16}, 5);
  ASSERT_FALSE(energy->piecewise_linear());
  const Chain chain{{}, 0.02, 0.02, 6};
  const auto x = some_images(4, energy->input());
  const auto v = some_noise(x, 1000);
  EXPECT_GT(relative_difference(
                pull_back(chain.piece(*energy, x), v, 0.02, curvature_product({{energy.get(), 1}}, 0, {})), v),
            1e-3);
}

// U = sum_i a_i x_i^2 / 2
class Bowl final : public Energy {
 public:
  explicit Bowl(at::Tensor a) : a_(std::move(a)) {}
  ImageShape input() const override { return {1, 1, a_.size(0)}; }
  at::Tensor energy_with(const at::Tensor& x, const Activation&) override {
    return (0.5 * a_ * x.square()).sum({1, 2, 3});
  }
  bool piecewise_linear() const override { return false; }

 private:
  at::Tensor a_;
};

TEST(Curvature, AddsTermsByTheirSharesAndTheGaussian) {
  const auto a = torch::tensor({1.0, 2.0, 3.0}, torch::kDouble), b = torch::tensor({5.0, 0.0, -1.0}, torch::kDouble);
  Bowl one(a), other(b);
  const auto product = curvature_product({{&one, 2}, {&other, 0.5}}, 0.25, {});
  const auto x = torch::ones({2, 1, 1, 3}, torch::kDouble), v = torch::arange(6.0, torch::kDouble).view({2, 1, 1, 3});
  const auto h = 2 * a + 0.5 * b + 0.25;
  EXPECT_TRUE(torch::allclose(product(x, v), h * v, 1e-14, 1e-14));
  // A sample goes back over the steps it made alone.
  const auto pulled = pull_back({{x, x, x}, {3, 1}}, v, 0.1, product), once = 1 - 0.1 * h;
  EXPECT_TRUE(torch::allclose(pulled[0], once.pow(3) * v[0], 1e-13, 1e-13));
  EXPECT_TRUE(torch::allclose(pulled[1], once * v[1], 1e-13, 1e-13));
  EXPECT_TRUE(torch::equal(pull_back({{x, x}, {0, 0}}, v, 0.1, product), v));
  EXPECT_TRUE(torch::equal(v, torch::arange(6.0, torch::kDouble).view({2, 1, 1, 3}))) << "v is the caller's";
}

TEST(Curvature, ASamplesBitsDoNotDependOnItsPlaceOrTheWeightsGradients) {
  const auto energy = make_energy({"light", 8}, 5);
  const auto product = curvature_product({{energy.get(), 1}}, 0, {10});
  const auto x = some_images(4, 32).contiguous(at::MemoryFormat::ChannelsLast), v = some_noise(x, 1000);
  const auto given = product(x, v);
  EXPECT_TRUE(torch::equal(product(x.flip(0), v.flip(0)).flip(0), given));
  for (const auto& weight : energy->parameters()) {
    EXPECT_TRUE(weight.requires_grad());
    EXPECT_FALSE(weight.grad().defined());
  }
}

TEST(Activation, SoftplusStandsForTheMaximum) {
  const auto v = torch::linspace(-3, 3, 61, torch::kDouble);
  for (const double slope : {0.0, 0.05}) {
    EXPECT_TRUE(
        torch::equal(Activation{}.leaky_relu(v, slope), slope == 0 ? torch::relu(v) : torch::leaky_relu(v, slope)));
    const auto soft = slope * v + (1 - slope) * (1 + (4 * v).exp()).log() / 4;
    EXPECT_TRUE(torch::allclose(Activation{4}.leaky_relu(v, slope), soft, 1e-9, 1e-9));
    // Farthest from it at 0: log(2) / s.
    const auto off = (Activation{1000}.leaky_relu(v, slope) - torch::leaky_relu(v, slope)).abs();
    EXPECT_NEAR(off.max().item<double>(), (1 - slope) * std::log(2.0) / 1000, 1e-9);
  }
}

}  // namespace
}  // namespace langrun
