#include "core/chain_sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/device_transfer.h"
#include "core/networks/energy.h"
#include "core/networks/frozen_network.h"
#include "core/torch.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

ChainNoise noise_of(std::int64_t count, std::uint64_t first) {
  ChainNoise noise{noise_key(5, Stream::langevin), {}, 0};
  noise.identities.resize(static_cast<std::size_t>(count));
  std::iota(noise.identities.begin(), noise.identities.end(), first);
  return noise;
}

TEST(ChainSampler, CallsBegunTogetherAreThoseOfRunLangevin) {
  const EnergyConfig config{"light", 8};
  const auto energy = make_energy(config, 2);
  ChainSampler sampler(config, "fp32", at::kCPU);
  sampler.refresh(*energy);
  FrozenEnergy frozen(config, "fp32", at::kCPU);
  frozen.refresh(*energy);
  LangevinConfig langevin;
  langevin.steps = 3;
  langevin.max_norm = 0.5;
  std::vector<SampledChains> sampled;
  for (std::uint64_t call = 0; call < 3; ++call)
    sampled.push_back(sampler.start(some_images(2, 32, call), langevin, noise_of(2, 10 * call)));
  sampler.finish();
  for (std::uint64_t call = 0; call < 3; ++call) {
    LangevinRecord record;
    const auto chains = run_langevin([&](const at::Tensor& x) { return frozen.energy_and_gradient(x); },
                                     some_images(2, 32, call), langevin, noise_of(2, 10 * call), &record);
    EXPECT_TRUE(torch::equal(sampled[call].chains, chains));
    EXPECT_TRUE(torch::equal(sampled[call].host, chains));
    EXPECT_TRUE(torch::equal(sampled[call].record.gradient_magnitude, record.gradient_magnitude));
    EXPECT_TRUE(torch::equal(sampled[call].record.last_energy, record.last_energy));
  }
  EXPECT_TRUE(torch::equal(sampler.run(some_images(2, 32, 1), langevin, noise_of(2, 10)), sampled[1].chains));
}

TEST(ChainSampler, AddsPriorAndGaussianTerm) {
  const EnergyConfig config{"light", 8};
  const auto energy = make_energy(config, 2), prior = make_energy(config, 3);
  constexpr double kT = 1e-2, kPriorT = 3e-2, kTau = 0.2, kJoint = 1.5;
  ChainSampler sampler(config, "fp32", at::kCPU);
  sampler.refresh(*energy);
  SamplingTerms terms;
  terms.prior = std::make_unique<FrozenEnergy>(config, "fp32", at::kCPU);
  terms.prior->refresh(*prior);
  terms.prior_temperature = kPriorT;
  terms.tau = kTau;
  sampler.add_terms(std::move(terms), kT);
  const auto x = some_images(3, 32, 4);
  const auto own = energy->energy_and_gradient(x), others = prior->energy_and_gradient(x);
  const auto expected = own.gradient / kT + others.gradient / kPriorT + x / (kTau * kTau);
  const auto images = x.contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(torch::allclose(sampler.gradient(images).gradient / kT, expected, 1e-4, 1e-4));
  EXPECT_TRUE(torch::allclose(sampler.gradient(images).energy, own.energy, 1e-4, 1e-6));

  // Without noise a step is the gradient alone; the joint temperature leaves the Gaussian term as it is.
  LangevinConfig langevin;
  langevin.steps = 1;
  langevin.eta = 1e-2;
  for (const double joint : {1.0, kJoint}) {
    langevin.temperature = joint * kT;
    const auto moved = sampler.run(x, langevin, noise_of(3, 0));
    LangevinConfig still = langevin;
    const auto noise = run_langevin(
        [](const at::Tensor& at) -> EnergyGradient {
          return {at::zeros({at.size(0)}), at::zeros_like(at)};
        },
        torch::zeros_like(x), still, noise_of(3, 0));
    const auto sum = own.gradient / (joint * kT) + others.gradient / (joint * kPriorT) + x / (kTau * kTau);
    EXPECT_TRUE(torch::allclose(moved, x - 0.5 * 1e-4 * sum + noise, 1e-4, 1e-5)) << joint;
  }
}

TEST(ChainSampler, ASamplesTermsDoNotDependOnItsPlace) {
  const EnergyConfig config{"light", 8};
  const auto energy = make_energy(config, 2), prior = make_energy(config, 3);
  ChainSampler sampler(config, "fp32", at::kCPU);
  sampler.refresh(*energy);
  SamplingTerms terms;
  terms.prior = std::make_unique<FrozenEnergy>(config, "fp32", at::kCPU);
  terms.prior->refresh(*prior);
  terms.tau = 0.15;
  sampler.add_terms(std::move(terms), 1e-4);
  LangevinConfig langevin;
  langevin.steps = 4;
  const auto x = some_images(5, 32, 4);
  auto noise = noise_of(5, 0);
  const auto chains = sampler.run(x, langevin, noise);
  std::reverse(noise.identities.begin(), noise.identities.end());
  EXPECT_TRUE(torch::equal(sampler.run(x.flip(0), langevin, noise).flip(0), chains));
}

TEST(ChainSampler, ToDeviceLeavesHostTensorsAlone) {
  const auto images = some_images(2, 8);
  EXPECT_EQ(to_device(images, at::kCPU).const_data_ptr(), images.const_data_ptr());
}

// The way of GPUs, on a processor: in float64, for which oneDNN packs nothing, FrozenConv takes the library's calls.
class UnpackedWay : public testing::TestWithParam<EnergyConfig> {};

TEST_P(UnpackedWay, EqualsAutogradAndKeepsUpWithItsWeights) {
  const auto energy = make_energy(GetParam(), 4);
  const torch::NoGradGuard constant;
  for (auto& item : energy->named_parameters())
    if (item.key().ends_with("bias")) item.value().copy_(at::randn_like(item.value()).mul_(0.1));
  const FrozenPlace place{at::kDouble, at::kCPU};
  const auto frozen = GetParam().network == "light" ? freeze_light(place) : freeze_sngan(place);
  const auto x = some_images(3, energy->input().height).contiguous(at::MemoryFormat::ChannelsLast);
  for (int round = 0; round < 2; ++round) {
    frozen->refresh(*energy);
    const auto expected = energy->energy_and_gradient(x), given = frozen->energy_and_gradient(x);
    EXPECT_LT((given.energy - expected.energy).abs().max().item<float>(), 1e-5) << round;
    EXPECT_LT(relative_difference(given.gradient, expected.gradient), 1e-5) << round;
    for (auto& parameter : energy->parameters()) parameter.mul_(1.1);
  }
}

INSTANTIATE_TEST_SUITE_P(Energies, UnpackedWay, testing::Values(EnergyConfig{"light", 8}, EnergyConfig{"sngan32", 8}),
                         [](const auto& each) { return each.param.network; });

}  // namespace
}  // namespace langrun
