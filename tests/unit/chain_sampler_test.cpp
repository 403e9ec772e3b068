#include "core/chain_sampler.h"

#include <gtest/gtest.h>

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
