// The two-trajectory method on maps whose exponents are known.
#include "core/lyapunov.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/mean_interval.h"
#include "core/networks/energy.h"
#include "core/networks/frozen_energy.h"
#include "core/torch.h"
#include "tests/unit/networks_support.h"
#include "tests/unit/weights_support.h"

namespace langrun {
namespace {

constexpr double kWeight = 0.5;  // tau^2 / (2 T) below

LyapunovConfig config_of(double eta, std::vector<double> deltas) {
  LyapunovConfig config;
  config.step_size = 1e-2;
  config.temperature = 1e-4;
  config.eta = eta;
  config.deltas = std::move(deltas);
  config.burn_in = 200;
  config.steps = 300;
  return config;
}

ChainNoise noise_of(std::int64_t count) {
  ChainNoise noise{noise_key(3, Stream::sample), {}, 0};
  for (std::int64_t i = 0; i < count; ++i) noise.identities.push_back(static_cast<std::uint64_t>(i));
  return noise;
}

LangevinWalk walk_of(const GradientFunction& gradient) {
  return [gradient](const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise) {
    return run_langevin(gradient, x, config, noise);
  };
}

// U(x) = 1/2 sum_i lambda_i x_i^2: the map is linear, and its exponent the log of the largest |1 - w lambda_i|.
TEST(Lyapunov, OfALinearMapIsTheLogOfItsLargestFactor) {
  auto slopes = torch::linspace(0.2, 1.0, 48).view({1, 3, 4, 4});
  const auto linear = [&slopes](const at::Tensor& x) {
    return EnergyGradient{0.5 * (slopes * x.square()).sum({1, 2, 3}), slopes * x};
  };
  const auto x = some_images(3, 4);
  const auto exponent = [&](double eta) {
    return lyapunov_exponents(walk_of(linear), x, config_of(eta, {1e-2, 1e-1}), noise_of(3));
  };
  for (const double eta : {0.1, 2.0})
    for (const auto found : exponent(eta)) EXPECT_NEAR(found, std::log(1 - kWeight * 0.2), 2e-3);
  // One direction that grows, 1 - w (-0.2) = 1.1, or grows and turns over, 1 - w 4.2 = -1.1: for a while, before the
  // chains are so far out that float32 rounds the separation away.
  for (const float slope : {-0.2f, 4.2f}) {
    slopes[0][1][2][3] = slope;
    auto config = config_of(1, {1e-1, 1});
    config.burn_in = config.steps = 40;
    for (const auto found : lyapunov_exponents(walk_of(linear), x, config, noise_of(3)))
      EXPECT_NEAR(found, std::log(1.1), 2e-3);
  }
}

TEST(Lyapunov, ChainsAndSeparationsAreMeasuredEachAlone) {
  const auto cubic = [](const at::Tensor& x) { return EnergyGradient{0.25 * x.pow(4).sum({1, 2, 3}), x.pow(3)}; };
  const auto x = some_images(4, 4);
  const auto all = lyapunov_exponents(walk_of(cubic), x, config_of(1, {1e-2, 1e-1}), noise_of(4));
  ChainNoise second{noise_of(1).key, {1}, 0};
  const auto one = lyapunov_exponents(walk_of(cubic), x.narrow(0, 1, 1), config_of(1, {1e-1}), second);
  EXPECT_EQ(all[1 * 2 + 1], one[0]);
}

// Between kinks a piecewise-linear energy moves both trajectories alike.
TEST(Lyapunov, OfAPiecewiseLinearEnergyIsAboutZeroForSmallSeparations) {
  const EnergyConfig network{"light", 4};
  const auto energy = make_energy(network, 2);
  FrozenEnergy frozen(network, "fp32", at::kCPU);
  frozen.refresh(*energy);
  auto config = config_of(1, {1e-3, 1});
  config.burn_in = 10;
  config.steps = 40;
  const auto exponents = lyapunov_exponents(walk_of([&](const at::Tensor& x) { return frozen.energy_and_gradient(x); }),
                                            some_images(2, 32), config, noise_of(2));
  for (const auto found : exponents) EXPECT_NEAR(found, 0, 0.02);
  // Ten times the slope beyond a kink at 0 that every chain crosses again and again: not zero at all.
  const auto kinked = [](const at::Tensor& x) {
    return EnergyGradient{x.abs().sum({1, 2, 3}) * 0.02, 0.02 * x.sign()};
  };
  for (const auto found :
       lyapunov_exponents(walk_of(kinked), torch::zeros({2, 3, 4, 4}), config_of(1, {1e-3}), noise_of(2)))
    EXPECT_GT(found, 0.1);
}

TEST(Lyapunov, ASeparationThatIsLostIsAnError) {
  const auto onto_zero = [](const at::Tensor& x) { return EnergyGradient{x.sum({1, 2, 3}), x / kWeight}; };
  auto config = config_of(1, {1e-3});
  config.first = 50;
  const auto error = testing::error_of(
      ExitCode::diverged, [&] { lyapunov_exponents(walk_of(onto_zero), some_images(1, 4), config, noise_of(1)); });
  EXPECT_NE(error.find("chain 50 "), std::string::npos) << error;
}

TEST(MeanInterval, IsStudents) {
  EXPECT_NEAR(student_t95(1), 12.7062047, 1e-5);
  EXPECT_NEAR(student_t95(4), 2.7764451, 1e-6);
  EXPECT_NEAR(student_t95(30), 2.0422725, 1e-6);
  EXPECT_NEAR(student_t95(100000), 1.9599877, 1e-5);
  const std::vector<double> values{1, 2, 3, 4, 5};
  const auto found = mean_interval(values);
  EXPECT_DOUBLE_EQ(found.mean, 3);
  EXPECT_NEAR(found.high - 3, 2.7764451 * std::sqrt(2.5 / 5), 1e-6);
  EXPECT_NEAR(found.low + found.high, 6, 1e-12);
  EXPECT_TRUE(std::isinf(mean_interval(std::vector<double>{1}).high));
}

}  // namespace
}  // namespace langrun
