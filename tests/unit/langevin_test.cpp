// The sampler against the law of the discretised chain itself, on a Gaussian.
#include "core/langevin.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

// U(x) = lambda / 2 ||x||^2
GradientFunction quadratic(double lambda) {
  return [lambda](const at::Tensor& x) { return EnergyGradient{0.5 * lambda * x.square().sum({1, 2, 3}), lambda * x}; };
}

ChainNoise noise_for(std::int64_t count) {
  ChainNoise noise{noise_key(5, Stream::langevin), {}, 0};
  for (std::int64_t i = 0; i < count; ++i) noise.identities.push_back(static_cast<std::uint64_t>(i));
  return noise;
}

TEST(Langevin, VarianceIsThatOfTheDiscretisedChain) {
  // Stationary variance of x <- (1 - eta^2 lambda / (2T)) x + eta z: (T / lambda) / (1 - eta^2 lambda / (4T)).
  LangevinConfig config;
  config.steps = 60;
  config.eta = 0.1;
  config.temperature = 0.01;
  const double lambda = 0.5;
  const auto start = torch::zeros({64, 3, 16, 16});
  const auto x = run_langevin(quadratic(lambda), start, config, noise_for(64));
  const double law = config.temperature / lambda / (1 - config.eta * config.eta * lambda / (4 * config.temperature));
  const auto n = static_cast<double>(x.numel());
  EXPECT_NEAR(x.square().mean().item<double>(), law, 4 * law * std::sqrt(2 / n));
  EXPECT_NEAR(x.mean().item<double>(), 0, 4 * std::sqrt(law / n));
}

TEST(Langevin, ChainsDoNotDependOnTheirPlace) {
  LangevinConfig config;
  config.steps = 7;
  const auto start = torch::linspace(-1, 1, 4 * 3 * 8 * 8).view({4, 3, 8, 8});
  auto noise = noise_for(4);
  const auto forward = run_langevin(quadratic(1), start, config, noise);
  const auto order = torch::tensor({2, 0, 3, 1});
  ChainNoise moved{noise.key, {2, 0, 3, 1}, 0};
  EXPECT_TRUE(torch::equal(run_langevin(quadratic(1), start.index_select(0, order), config, moved),
                           forward.index_select(0, order)));
}

TEST(Langevin, StepsContinueWhereTheyStopped) {
  LangevinConfig config;
  config.steps = 6;
  const auto start = torch::full({2, 3, 4, 4}, 0.3);
  const auto whole = run_langevin(quadratic(2), start, config, noise_for(2));
  config.steps = 3;
  auto noise = noise_for(2);
  const auto half = run_langevin(quadratic(2), start, config, noise);
  noise.first_step = 3;
  EXPECT_TRUE(torch::equal(run_langevin(quadratic(2), half, config, noise), whole));
}

TEST(Langevin, ChainsOfDifferentAgesWalkSideBySide) {
  LangevinConfig config;
  config.steps = 6;
  const auto start = torch::linspace(-1, 1, 3 * 3 * 4 * 4).view({3, 3, 4, 4});
  auto noise = noise_for(3);
  noise.first_steps = {0, 2, 9};
  noise.end_step = 5;
  LangevinRecord record;
  const auto mixed = run_langevin(quadratic(2), start, config, noise, &record);
  const std::int64_t made[] = {5, 3, 0};
  for (std::int64_t b = 0; b < 3; ++b) {
    config.steps = made[b];
    auto alone = noise_for(3);
    alone.first_step = noise.first_steps[static_cast<std::size_t>(b)];
    LangevinRecord own;
    const auto walked = run_langevin(quadratic(2), start, config, alone, &own);
    EXPECT_TRUE(torch::equal(mixed[b], walked[b])) << b;
    if (made[b] > 0) EXPECT_TRUE(torch::equal(record.last_energy[b], own.last_energy[b])) << b;
  }
}

TEST(Langevin, RecordsMagnitudeAndClipsBySample) {
  LangevinConfig config;
  config.steps = 1;
  config.eta = 0.2;
  config.temperature = 0.5;
  const auto start = torch::full({2, 1, 2, 2}, 3.0);
  LangevinRecord record;
  const auto free = run_langevin(quadratic(1), start, config, noise_for(2), &record);
  const double magnitude = config.gradient_weight() * 6;  // ||(3, 3, 3, 3)|| = 6
  EXPECT_NEAR(record.gradient_magnitude[0].item<double>(), magnitude, 1e-6);
  EXPECT_NEAR(record.first_energy[1].item<double>(), 18, 1e-5);
  config.max_norm = magnitude / 4;
  const auto clipped = run_langevin(quadratic(1), start, config, noise_for(2));
  const double difference = (clipped - free).mean().item<double>();
  EXPECT_NEAR(difference, config.gradient_weight() * 3 * 0.75, 1e-6);
}

TEST(Langevin, ChainsOfDifferentAgesHaveTheBitsOfTheirOwn) {
  LangevinConfig config;
  config.steps = 5;
  const auto start = torch::linspace(-1, 1, 4 * 3 * 8 * 8).view({4, 3, 8, 8});
  auto together = noise_for(4);
  together.first_steps = {0, 7, 3, 7};
  LangevinRecord record;
  const auto mixed = run_langevin(quadratic(1), start, config, together, &record);
  for (std::size_t b = 0; b < 4; ++b) {
    auto alike = noise_for(4);
    alike.first_step = together.first_steps[b];
    LangevinRecord own;
    const auto chains = run_langevin(quadratic(1), start, config, alike, &own);
    const auto row = static_cast<std::int64_t>(b);
    EXPECT_TRUE(torch::equal(mixed[row], chains[row])) << b;
    EXPECT_TRUE(torch::equal(record.last_energy[row], own.last_energy[row])) << b;
    EXPECT_TRUE(torch::equal(record.gradient_magnitude[row], own.gradient_magnitude[row])) << b;
  }
  auto first = noise_for(4);
  EXPECT_FALSE(torch::equal(mixed[1], run_langevin(quadratic(1), start, config, first)[1]));
}

TEST(Langevin, ChainsStayWhereTheyAreFromTheEndStepOn) {
  LangevinConfig config;
  config.steps = 6;
  const auto start = torch::linspace(-1, 1, 3 * 3 * 4 * 4).view({3, 3, 4, 4});
  auto noise = noise_for(3);
  noise.first_steps = {0, 4, 9};
  noise.end_step = 6;
  LangevinRecord record;
  const auto stopped = run_langevin(quadratic(1), start, config, noise, &record);
  const auto whole = run_langevin(quadratic(1), start, config, noise_for(3));
  EXPECT_TRUE(torch::equal(stopped[0], whole[0]));
  auto two = noise_for(3);
  two.first_step = 4;
  config.steps = 2;
  LangevinRecord short_record;
  EXPECT_TRUE(torch::equal(stopped[1], run_langevin(quadratic(1), start, config, two, &short_record)[1]));
  EXPECT_TRUE(torch::equal(record.last_energy[1], short_record.last_energy[1])) << "of its own last step";
  EXPECT_TRUE(torch::equal(stopped[2], start[2])) << "at its end before the call";
}

TEST(Langevin, EveryChainWantsAFirstStep) {
  auto noise = noise_for(3);
  noise.first_steps = {0, 1};
  EXPECT_THROW(run_langevin(quadratic(1), torch::zeros({3, 1, 2, 2}), {}, noise), Error);
}

TEST(Langevin, EveryChainWantsItsOwnNoise) {
  EXPECT_THROW(run_langevin(quadratic(1), torch::zeros({3, 1, 2, 2}), {}, noise_for(2)), Error);
}

}  // namespace
}  // namespace langrun
