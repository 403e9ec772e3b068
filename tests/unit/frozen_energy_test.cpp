#include "core/networks/frozen_energy.h"

#include "core/error.h"
#include "core/torch.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

struct Frozen {
  std::shared_ptr<Energy> source;
  FrozenEnergy frozen;

  Frozen(const EnergyConfig& config, const std::string& precision)
      : source(make_energy(config, 4)), frozen(config, precision, at::kCPU) {
    at::NoGradGuard no_grad;
    // Biases of other networks start at zero, where a forgotten one would not show.
    for (auto& item : source->named_parameters())
      if (item.key().ends_with("bias")) item.value().copy_(at::randn_like(item.value()).mul_(0.1));
    frozen.refresh(*source);
  }
  /// Results that stay when more is asked.
  EnergyGradient ask(const at::Tensor& x) {
    const auto [energy, gradient] = frozen.energy_and_gradient(x);
    return {energy.clone(), gradient.clone()};
  }
  at::Tensor images(std::int64_t batch, std::uint64_t seed = 1) const {
    return some_images(batch, source->input(), seed);
  }
};

class EachFrozen : public testing::TestWithParam<EnergyConfig> {};

TEST_P(EachFrozen, EqualsAutogradToRounding) {
  Frozen pair(GetParam(), "fp32");
  for (const std::int64_t batch : {3, 1, 5}) {
    const auto x = pair.images(batch);
    const auto expected = pair.source->energy_and_gradient(x), given = pair.ask(x);
    // Energies may come close to zero, where a sum of large terms cancels.
    EXPECT_LT((given.energy - expected.energy).abs().max().item<float>(), 1e-5);
    EXPECT_LT(relative_difference(given.gradient, expected.gradient), 1e-5);
    EXPECT_TRUE(given.gradient.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_EQ(given.gradient.scalar_type(), at::kFloat);
    EXPECT_FALSE(given.gradient.requires_grad());
    EXPECT_FALSE(given.energy.requires_grad());
  }
}

TEST_P(EachFrozen, KeepsItsWeightsUntilRefreshed) {
  Frozen pair(GetParam(), "fp32");
  const auto x = pair.images(2);
  const auto before = pair.ask(x);
  {
    at::NoGradGuard no_grad;
    for (auto& parameter : pair.source->parameters()) parameter.mul_(1.1);
  }
  EXPECT_TRUE(at::equal(pair.ask(x).gradient, before.gradient));
  pair.frozen.refresh(*pair.source);
  EXPECT_LT(relative_difference(pair.ask(x).gradient, pair.source->energy_and_gradient(x).gradient), 1e-5);
}

TEST_P(EachFrozen, PermutingABatchPermutesItsBits) {
  constexpr std::int64_t kBatch = 7;
  for (const auto* precision : {"fp32", "bf16"}) {
    if (precision == std::string("bf16") && !processor_has_bf16()) continue;
    Frozen pair(GetParam(), precision);
    const auto x = pair.images(kBatch);
    const auto order = at::tensor({4, 2, 6, 0, 5, 1, 3}, at::kLong);
    const auto a = pair.ask(x);
    const auto b = pair.ask(x.index_select(0, order));
    EXPECT_TRUE(at::equal(a.energy.index_select(0, order), b.energy)) << precision;
    EXPECT_TRUE(at::equal(a.gradient.index_select(0, order), b.gradient)) << precision;
    const auto again = pair.ask(x);
    EXPECT_TRUE(at::equal(a.energy, again.energy)) << precision;
    EXPECT_TRUE(at::equal(a.gradient, again.gradient)) << precision;
  }
}

// Larger batches go group by group, and with two threads in other groups: neither shows in any sample's bits.
TEST_P(EachFrozen, GroupsAndThreadsLeaveTheBits) {
  for (const auto* precision : {"fp32", "bf16"}) {
    if (precision == std::string("bf16") && !processor_has_bf16()) continue;
    Frozen pair(GetParam(), precision);
    const auto threads = at::get_num_threads();
    for (const std::int64_t batch : {9, 35}) {
      const auto x = pair.images(batch);
      const auto one = pair.ask(x);
      at::set_num_threads(2);
      const auto two = pair.ask(x);
      at::set_num_threads(threads);
      EXPECT_TRUE(at::equal(one.energy, two.energy)) << precision << ", batch " << batch;
      EXPECT_TRUE(at::equal(one.gradient, two.gradient)) << precision << ", batch " << batch;
      const auto turned = pair.ask(x.flip(0));
      EXPECT_TRUE(at::equal(one.energy.flip(0), turned.energy)) << precision << ", batch " << batch;
      EXPECT_TRUE(at::equal(one.gradient.flip(0), turned.gradient)) << precision << ", batch " << batch;
    }
  }
}

TEST_P(EachFrozen, Bf16IsCloseToFp32) {
  if (!processor_has_bf16()) GTEST_SKIP() << "this processor has no bfloat16 products";
  Frozen exact(GetParam(), "fp32"), rounded(GetParam(), "bf16");
  rounded.frozen.refresh(*exact.source);
  const auto x = exact.images(4);
  const auto a = exact.frozen.energy_and_gradient(x), b = rounded.frozen.energy_and_gradient(x);
  EXPECT_EQ(b.gradient.scalar_type(), at::kFloat);
  EXPECT_EQ(b.energy.scalar_type(), at::kFloat);
  // bfloat16 has 8 bits; masks of units near zero differ, which an untrained network feels most.
  EXPECT_LT(relative_difference(b.gradient, a.gradient), 0.25);
  EXPECT_GT(relative_difference(b.gradient, a.gradient), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Energies, EachFrozen,
                         testing::Values(EnergyConfig{"light", 8}, EnergyConfig{"sngan32", 8},
                                         EnergyConfig{"sngan64", 32}, EnergyConfig{"sngan128", 16},
                                         EnergyConfig{"biggan224", 8, true}, EnergyConfig{"mlp2d", 40}),
                         [](const auto& each) { return each.param.network; });

TEST(FrozenEnergy, EqualsAutogradAtThePapersWidth) {
  for (const auto* network : {"light", "sngan32", "mlp2d"}) {
    Frozen pair({network}, "fp32");
    const auto x = pair.images(2);
    const auto expected = pair.source->energy_and_gradient(x), given = pair.ask(x);
    EXPECT_LT(relative_difference(given.energy, expected.energy), 1e-5) << network;
    EXPECT_LT(relative_difference(given.gradient, expected.gradient), 1e-5) << network;
  }
}

TEST(FrozenEnergy, RefusesWhatItCannotDo) {
  EXPECT_THROW(FrozenEnergy({"light"}, "fp16", at::kCPU), Error);
  EXPECT_THROW(FrozenEnergy({"light"}, "tf32", at::kCPU), Error);
  EXPECT_THROW(FrozenEnergy({"lihgt"}, "fp32", at::kCPU), Error);
  Frozen pair({"light", 4}, "fp32");
  EXPECT_THROW(pair.frozen.energy_and_gradient(some_images(1, 64)), Error);
}

}  // namespace
}  // namespace langrun
