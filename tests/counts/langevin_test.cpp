// What a Langevin step costs in counts, which do not depend on the machine's mood.
#include "core/langevin.h"

#include <gtest/gtest.h>

#include <numeric>
#include <optional>

#include "core/networks/frozen_energy.h"
#include "core/torch.h"
#include "tests/counts/allocations.h"

namespace langrun {
namespace {

ChainNoise noise_for(std::int64_t batch) {
  ChainNoise noise{noise_key(1, Stream::langevin), {}, 0};
  noise.identities.resize(static_cast<std::size_t>(batch));
  std::iota(noise.identities.begin(), noise.identities.end(), 0);
  return noise;
}

// Counts nothing unless malloc is really ours.
TEST(Counts, AllocationsAreSeen) {
  const auto before = allocations_so_far();
  const std::vector<int> numbers(1000);
  const auto tensor = at::empty({1000});
  EXPECT_GE(allocations_so_far() - before, 2) << numbers.size() + static_cast<std::size_t>(tensor.numel());
}

struct Case {
  EnergyConfig network;
  std::string precision;
};

class EachChain : public testing::TestWithParam<Case> {
 protected:
  // Not a member from the start: there is none of a precision that the processor lacks.
  void SetUp() override {
    if (GetParam().precision == "bf16" && !processor_has_bf16())
      GTEST_SKIP() << "this processor has no bfloat16 products";
    frozen_.emplace(GetParam().network, GetParam().precision, at::kCPU);
  }
  /// Allocations of one call of the sampler of `steps` steps.
  std::int64_t allocations(std::int64_t steps) {
    LangevinConfig config;
    config.steps = steps;
    config.max_norm = 1;
    LangevinRecord record;
    const auto before = allocations_so_far();
    run_langevin(gradient_, start_, config, noise_, &record);
    return allocations_so_far() - before;
  }

  std::shared_ptr<Energy> source_ = make_energy(GetParam().network, 1);
  std::optional<FrozenEnergy> frozen_;
  GradientFunction gradient_ = [this](const at::Tensor& x) { return frozen_->energy_and_gradient(x); };
  ImageShape image_ = source_->input();
  at::Tensor start_ = at::rand({3, image_.channels, image_.height, image_.width});
  ChainNoise noise_ = noise_for(3);
};

TEST_P(EachChain, AStepAllocatesNothingAfterTheFirst) {
  at::set_num_threads(1);
  frozen_->refresh(*source_);
  allocations(2);
  EXPECT_EQ(allocations(7) - allocations(2), 0);
}

INSTANTIATE_TEST_SUITE_P(Energies, EachChain,
                         testing::Values(Case{{"light", 8}, "fp32"}, Case{{"light", 8}, "bf16"},
                                         Case{{"sngan32", 16}, "fp32"}, Case{{"sngan32", 16}, "bf16"},
                                         Case{{"biggan64", 16}, "fp32"}, Case{{"biggan64", 16}, "bf16"},
                                         Case{{"mlp2d", 24}, "fp32"}, Case{{"mlp2d", 24}, "bf16"}),
                         [](const auto& each) { return each.param.network.network + "_" + each.param.precision; });

TEST(Counts, OneNetworkCallAStep) {
  constexpr std::int64_t kBatch = 4, kSteps = 6;
  std::int64_t calls = 0, images = 0;
  const auto gradient = [&](const at::Tensor& x) {
    ++calls;
    images += x.size(0);
    return EnergyGradient{x.sum({1, 2, 3}), at::ones_like(x)};
  };
  LangevinConfig config;
  config.steps = kSteps;
  config.max_norm = 1;
  LangevinRecord record;
  run_langevin(gradient, at::zeros({kBatch, 3, 4, 4}), config, noise_for(kBatch), &record);
  EXPECT_EQ(calls, kSteps);
  EXPECT_EQ(images, kBatch * kSteps);
}

}  // namespace
}  // namespace langrun
