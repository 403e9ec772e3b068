// The pair chain against exact known cases: for a quadratic H and a linear G it is a linear Gaussian recursion.
#include "core/pair_langevin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/noise.h"
#include "core/sphere.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr std::int64_t kLatent = 2, kPixels = 3;

/// H(x) = (x - m)' A (x - m) / 2 over images [3, 1, 1], G(z) = B z + c.
struct Linear {
  at::Tensor a = torch::tensor({{2.0, 0.3, 0.0}, {0.3, 1.0, -0.2}, {0.0, -0.2, 1.5}}, torch::kDouble);
  at::Tensor m = torch::tensor({0.5, -1.0, 0.25}, torch::kDouble);
  at::Tensor b = torch::tensor({{1.0, 0.2}, {-0.5, 1.0}, {0.3, 0.7}}, torch::kDouble);
  at::Tensor c = torch::tensor({0.1, 0.2, -0.3}, torch::kDouble);

  EnergyGradient energy(const at::Tensor& x) const {
    const auto off = x.flatten(1) - m.to(torch::kFloat32);
    const auto slope = torch::mm(off, a.to(torch::kFloat32));
    return {(off * slope).sum(1) / 2, slope.view(x.sizes())};
  }
  at::Tensor images(const at::Tensor& z) const {
    return (torch::mm(z, b.t().to(torch::kFloat32)) + c.to(torch::kFloat32)).view({-1, kPixels, 1, 1});
  }
};

/// s' = transition s + shift + noise of this covariance, s = (z, y), in doubles.
struct Recursion {
  at::Tensor transition, shift, noise;

  /// The stationary law: mean, and covariance from the discrete Lyapunov equation S = M S M' + Q by doubling.
  at::Tensor mean() const {
    const auto identity = torch::eye(transition.size(0), torch::kDouble);
    return at::linalg_solve(identity - transition, shift);
  }
  at::Tensor covariance() const {
    auto m = transition, s = noise;
    for (int i = 0; i < 40; ++i) {
      s = s + torch::mm(torch::mm(m, s), m.t());
      m = torch::mm(m, m);
    }
    return s;
  }
};

// The step written out: first z at the old (y, z), then y at the new z.
Recursion recursion_of(const Linear& law, const PairConfig& config) {
  const auto n = kLatent + kPixels;
  const auto z = torch::eye(n, torch::kDouble).slice(0, 0, kLatent),
             y = torch::eye(n, torch::kDouble).slice(0, kLatent);
  const double t = config.temperature, wz = config.latent_eta * config.latent_eta / 2,
               wy = config.residual_eta * config.residual_eta / 2;
  // Every quantity as matrix [., n] of s and constant [.].
  auto z_matrix = z, y_matrix = y;
  auto z_constant = torch::zeros({kLatent}, torch::kDouble), y_constant = torch::zeros({kPixels}, torch::kDouble);
  auto z_noise = torch::zeros({kLatent, n}, torch::kDouble), y_noise = torch::zeros({kPixels, n}, torch::kDouble);
  if (config.moves_latent) {
    const auto pull = torch::mm(law.b.t(), law.a) / t;
    z_matrix = z - wz * (torch::mm(pull, torch::mm(law.b, z) + y) + (config.latent_prior ? 1.0 : 0.0) * z);
    z_constant = -wz * torch::mv(pull, law.c - law.m);
    z_noise = config.latent_eta * z;
  }
  if (config.moves_residual) {
    const double prior = config.residual_tau > 0 ? 1 / (config.residual_tau * config.residual_tau) : 0;
    const auto pull = law.a / t;
    y_matrix = y - wy * (torch::mm(pull, torch::mm(law.b, z_matrix) + y) + prior * y);
    y_constant = -wy * torch::mv(pull, torch::mv(law.b, z_constant) + law.c - law.m);
    y_noise = config.residual_eta * y - wy * torch::mm(pull, torch::mm(law.b, z_noise));
  }
  const auto noise = torch::cat({z_noise, y_noise});
  return {torch::cat({z_matrix, y_matrix}), torch::cat({z_constant, y_constant}), torch::mm(noise, noise.t())};
}

PairNoise noise_for(std::int64_t count, std::uint32_t first_step = 0) {
  PairNoise noise{noise_key(5, Stream::latent_chain), noise_key(5, Stream::langevin), {}, first_step};
  for (std::int64_t i = 0; i < count; ++i) noise.identities.push_back(static_cast<std::uint64_t>(i));
  return noise;
}

Pairs start_of(std::int64_t count) {
  return {torch::zeros({count, kLatent}), torch::zeros({count, kPixels, 1, 1}), {}};
}

Pairs run(const Linear& law, const PairConfig& config, const Pairs& start, const PairNoise& noise,
          PairRecord* record = nullptr) {
  return run_pairs([&law](const at::Tensor& x) { return law.energy(x); },
                   [&law](const at::Tensor& z) { return law.images(z); }, start, config, noise, record);
}

PairConfig settings() {
  PairConfig config;
  config.steps = 400;
  config.temperature = 0.5;
  config.latent_eta = 0.3;
  config.residual_eta = 0.4;
  config.latent_prior = true;
  config.residual_tau = 0.8;
  return config;
}

/// Means and covariances of many long chains within five standard errors of the exact ones.
void expect_law(const PairConfig& config) {
  constexpr std::int64_t kChains = 20000;
  const Linear law;
  const auto exact = recursion_of(law, config);
  const auto pairs = run(law, config, start_of(kChains), noise_for(kChains));
  const auto s = torch::cat({pairs.latents, pairs.residuals.flatten(1)}, 1).to(torch::kDouble);
  const auto mean = s.mean(0), centred = s - mean, covariance = torch::mm(centred.t(), centred) / double(kChains - 1);
  const auto wanted = exact.covariance(), wanted_mean = exact.mean();
  for (std::int64_t i = 0; i < s.size(1); ++i) {
    const auto variance = wanted[i][i].item<double>();
    EXPECT_NEAR(mean[i].item<double>(), wanted_mean[i].item<double>(), 5 * std::sqrt(variance / kChains)) << i;
    for (std::int64_t j = 0; j <= i; ++j) {
      const auto value = wanted[i][j].item<double>();
      const auto error = std::sqrt((variance * wanted[j][j].item<double>() + value * value) / kChains);
      EXPECT_NEAR(covariance[i][j].item<double>(), value, 5 * error) << i << ", " << j;
    }
  }
}

TEST(PairLangevin, HasTheLawOfItsLinearRecursion) { expect_law(settings()); }

TEST(PairLangevin, HasItWithoutThePriorOfTheResidual) {
  auto config = settings();
  config.residual_tau = 0;
  config.steps = 3000;  // z and y may now trade places: the chain forgets slowly
  expect_law(config);
}

// Retrofit's law: the latent is held by the energy alone.
TEST(PairLangevin, HasItWithoutThePriorOfTheLatent) {
  auto config = settings();
  config.latent_prior = false;
  expect_law(config);
}

TEST(PairLangevin, PutsLatentsBackOnTheSphere) {
  const Linear law;
  auto config = settings();
  config.steps = 1;
  config.moves_residual = false;
  auto start = start_of(5);
  start.latents = on_sphere(torch::linspace(-2, 1.5, 10).view({5, kLatent}));
  const auto free = run(law, config, start, noise_for(5));
  config.on_sphere = true;
  const auto pairs = run(law, config, start, noise_for(5));
  const auto radius = torch::full({5}, std::sqrt(double(kLatent)));
  EXPECT_FALSE(torch::allclose(free.latents.norm(2, 1), radius, 1e-2, 1e-2)) << "moves do not leave it";
  EXPECT_TRUE(torch::allclose(pairs.latents.norm(2, 1), radius, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(pairs.latents, on_sphere(free.latents), 1e-5, 1e-6)) << "not the move's direction";
  EXPECT_TRUE(torch::equal(pairs.generated, law.images(pairs.latents))) << "the image of a latent off the sphere";
  config.steps = 7;
  config.moves_residual = true;
  EXPECT_TRUE(torch::allclose(run(law, config, start, noise_for(5)).latents.norm(2, 1), radius, 1e-5, 1e-6));
}

TEST(PairLangevin, RecordsTheEnergyBeforeTheFirstStep) {
  const Linear law;
  auto start = start_of(3);
  start.latents = torch::tensor({1.0f, -0.5f, 0.25f, 2.0f, 0.0f, 0.0f}).view({3, kLatent});
  start.residuals = torch::linspace(-1, 1, 9).view({3, kPixels, 1, 1});
  const auto wanted = law.energy(law.images(start.latents) + start.residuals).energy;
  auto config = settings();
  config.steps = 4;
  // The tensors of an energy may be written over by its next call.
  at::Tensor kept;
  const GradientFunction energy = [&](const at::Tensor& x) {
    auto at = law.energy(x);
    kept = kept.defined() ? kept.copy_(at.energy) : at.energy;
    return EnergyGradient{kept, at.gradient};
  };
  for (const bool latent : {true, false}) {
    config.moves_latent = latent;
    kept = at::Tensor();
    PairRecord record;
    run_pairs(energy, [&](const at::Tensor& z) { return law.images(z); }, start, config, noise_for(3), &record);
    EXPECT_TRUE(torch::allclose(record.first_energy, wanted, 1e-5, 1e-6)) << latent;
  }
  config.steps = 0;
  PairRecord none;
  run(law, config, start, noise_for(3), &none);
  EXPECT_FALSE(none.first_energy.defined());
}

TEST(PairLangevin, OnePartAloneIsAnOrdinaryChain) {
  const Linear law;
  auto config = settings();
  config.steps = 9;
  config.moves_latent = false;
  config.residual_tau = 0;
  auto start = start_of(6);
  start.latents = torch::linspace(-1, 1, 12).view({6, 2});
  const auto pairs = run(law, config, start, noise_for(6));
  EXPECT_TRUE(torch::equal(pairs.latents, start.latents));
  // X = G(Z) + Y with Z fixed is the sampler's own chain from G(Z).
  LangevinConfig plain;
  plain.steps = config.steps;
  plain.eta = config.residual_eta;
  plain.temperature = config.temperature;
  const auto x = run_langevin([&law](const at::Tensor& images) { return law.energy(images); },
                              law.images(start.latents), plain, {noise_for(6).residual, noise_for(6).identities, 0});
  EXPECT_TRUE(torch::allclose(pairs.images(), x, 1e-5, 1e-6));

  config.moves_latent = true;
  config.moves_residual = false;
  const auto latent = run(law, config, start, noise_for(6));
  EXPECT_EQ(latent.residuals.abs().max().item<float>(), 0);
  EXPECT_FALSE(torch::equal(latent.latents, start.latents));
  EXPECT_TRUE(torch::equal(latent.generated, law.images(latent.latents)));
}

TEST(PairLangevin, ClipsTheResidualOfEachSample) {
  const Linear law;
  auto config = settings();
  config.steps = 1;
  config.moves_latent = false;
  config.max_norm = 0.5;
  // Not clipped, about twice too long, a hundred times too long: what one needs is no other's affair.
  auto start = start_of(3);
  start.residuals =
      torch::tensor({0.6f, -1.1f, 0.4f, 2.0f, 3.0f, -4.0f, 150.0f, 90.0f, -200.0f}).view({3, kPixels, 1, 1});
  PairRecord record;
  const auto pairs = run(law, config, start, noise_for(3), &record);
  EXPECT_FALSE(record.latent_magnitude.defined());

  const auto slope = law.energy(law.images(start.latents) + start.residuals).gradient +
                     start.residuals * (config.temperature / (config.residual_tau * config.residual_tau));
  const double weight = config.residual_eta * config.residual_eta / (2 * config.temperature);
  std::vector<double> shares;
  for (std::int64_t i = 0; i < 3; ++i) {
    const auto norm = weight * slope[i].norm().item<double>();
    EXPECT_NEAR(record.residual_magnitude[i].item<double>(), norm, 1e-4 * norm) << "recorded as it was before clipping";
    shares.push_back(std::min(1.0, config.max_norm / norm));
    auto noise = torch::empty({kPixels, 1, 1});
    fill_normal(noise_for(3).residual, {static_cast<std::uint64_t>(i), 0}, {noise.mutable_data_ptr<float>(), kPixels});
    const auto wanted = start.residuals[i] - slope[i] * (weight * shares.back()) + noise * config.residual_eta;
    EXPECT_TRUE(torch::allclose(pairs.residuals[i], wanted, 1e-5, 1e-5)) << i;
  }
  EXPECT_EQ(shares[0], 1);
  EXPECT_TRUE(shares[1] > 0.1 && shares[1] < 1);
  EXPECT_LT(shares[2], 0.05);
}

TEST(PairLangevin, GoesOnWhereItStopped) {
  const Linear law;
  auto config = settings();
  config.steps = 6;
  const auto whole = run(law, config, start_of(2), noise_for(2));
  config.steps = 4;
  const auto first = run(law, config, start_of(2), noise_for(2));
  config.steps = 2;
  const auto rest = run(law, config, first, noise_for(2, 4));
  EXPECT_TRUE(torch::equal(rest.latents, whole.latents));
  EXPECT_TRUE(torch::equal(rest.residuals, whole.residuals));
  EXPECT_THROW(run(law, config, start_of(2), noise_for(3)), Error);
}

}  // namespace
}  // namespace langrun
