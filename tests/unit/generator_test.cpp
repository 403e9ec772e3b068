#include "core/networks/generator.h"

#include "core/error.h"
#include "core/torch.h"
#include "core/upsample.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

/// Weights of an up block: two batch norms, two 3x3 convolutions and a 1x1 shortcut.
std::int64_t up_weights(std::int64_t in, std::int64_t out) {
  return 2 * in + 2 * out + (9 * in * out + out) + (9 * out * out + out) + (in * out + out);
}

std::int64_t ends_weights(std::int64_t latent, std::int64_t first, std::int64_t last) {
  return (latent + 1) * 16 * first + 2 * last + (27 * last + 3);
}

TEST(Generator, HasItsShapeAndWeightCount) {
  const auto paper = make_generator({}, 1);
  EXPECT_EQ(weight_count(*paper), ends_weights(128, 256, 256) + 3 * up_weights(256, 256));
  EXPECT_EQ(paper->output(), (ImageShape{3, 32, 32}));
  const auto g64 = make_generator({.network = "sngan64", .width = 32, .latent = 7}, 1);
  EXPECT_EQ(weight_count(*g64),
            ends_weights(7, 32, 2) + up_weights(32, 16) + up_weights(16, 8) + up_weights(8, 4) + up_weights(4, 2));
  const auto g128 = make_generator({.network = "sngan128", .width = 16}, 1);
  EXPECT_EQ(weight_count(*g128), ends_weights(128, 16, 1) + up_weights(16, 16) + up_weights(16, 8) + up_weights(8, 4) +
                                     up_weights(4, 2) + up_weights(2, 1));
  for (const auto& generator : {g64, g128}) {
    const auto size = generator->output().height;
    const auto x = generator->generate(at::randn({2, generator->latent_length()}), BatchNormUse::off);
    EXPECT_EQ(x.sizes(), at::IntArrayRef({2, 3, size, size}));
    EXPECT_LE(x.abs().max().item<float>(), 1);
    EXPECT_GT(x.abs().max().item<float>(), 0);
  }
}

TEST(Generator, RefusesWhatCannotBe) {
  EXPECT_THROW(make_generator({.network = "sngan"}, 1), Error);
  EXPECT_THROW(make_generator({.network = "sngan64", .width = 8}, 1), Error);
  EXPECT_THROW(make_generator({.network = "sngan32", .width = -1}, 1), Error);
  EXPECT_THROW(make_generator({.latent = 0}, 1), Error);
}

TEST(Generator, RecordsLaneStatisticsOnlyUnderAutograd) {
  const auto generator = make_generator({.network = "sngan32", .width = 8, .latent = 8}, 1);
  const auto z = at::randn({4, 8});
  {
    at::NoGradGuard rejuvenation;
    generator->generate(z, BatchNormUse::lane);
    for (const auto& norm : generator->batch_norms()) EXPECT_FALSE(norm->lane_mean.defined());
  }
  const auto before = generator->batch_norms().front()->running_mean.clone();
  generator->generate(z, BatchNormUse::lane).sum().backward();
  EXPECT_EQ(generator->batch_norms().size(), 7u);
  for (const auto& norm : generator->batch_norms()) {
    EXPECT_TRUE(norm->lane_mean.defined());
    EXPECT_FALSE(norm->lane_mean.requires_grad());
    EXPECT_TRUE(norm->weight.grad().defined());
  }
  EXPECT_TRUE(at::equal(before, generator->batch_norms().front()->running_mean));
}

TEST(Generator, GradientAgreesWithFiniteDifferences) {
  const auto generator = make_generator({.network = "sngan32", .width = 6, .latent = 5}, 2);
  generator->to(at::kDouble);
  const auto z = at::randn({3, 5}, at::kDouble), direction = at::randn({3, 5}, at::kDouble);
  for (const auto use : {BatchNormUse::off, BatchNormUse::lane, BatchNormUse::running}) {
    const auto leaf = z.clone().requires_grad_();
    const auto weights = at::randn({3, 3, 32, 32}, at::kDouble);
    const auto loss = [&](const at::Tensor& at) { return (generator->generate(at, use) * weights).sum(); };
    loss(leaf).backward();
    constexpr double kStep = 1e-7;
    at::NoGradGuard no_grad;
    const auto slope = (loss(z + kStep * direction) - loss(z - kStep * direction)) / (2 * kStep);
    EXPECT_LT(relative_difference(slope, (leaf.grad() * direction).sum()), 1e-3);
  }
}

TEST(Generator, RepeatsItsBits) {
  const auto generator = make_generator({.network = "sngan32", .width = 16, .latent = 8}, 3);
  const auto z = at::randn({5, 8});
  const auto run = [&] {
    generator->zero_grad();
    const auto images = generator->generate(z, BatchNormUse::lane);
    images.square().sum().backward();
    std::vector<at::Tensor> bits{images.detach()};
    for (const auto& parameter : generator->parameters()) bits.push_back(parameter.grad().clone());
    return bits;
  };
  const auto a = run(), b = run();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

TEST(Generator, SamplesTouchEachOtherOnlyThroughLaneStatistics) {
  const auto generator = make_generator({.network = "sngan32", .width = 16, .latent = 8}, 3);
  at::NoGradGuard no_grad;
  const auto z = at::randn({4, 8}), other = at::cat({z.narrow(0, 0, 1), at::randn({3, 8})});
  for (const auto use : {BatchNormUse::off, BatchNormUse::running})
    EXPECT_TRUE(at::equal(generator->generate(z, use)[0], generator->generate(other, use)[0]));
  EXPECT_FALSE(
      at::equal(generator->generate(z, BatchNormUse::lane)[0], generator->generate(other, BatchNormUse::lane)[0]));
}

TEST(LaneBatchNorm, AgreesWithTorch) {
  const auto x = at::randn({6, 5, 4, 4}).mul_(2).add_(0.7);
  LaneBatchNorm norm(5);
  {
    at::NoGradGuard no_grad;
    norm.weight.copy_(at::rand({5}));
    norm.bias.copy_(at::randn({5}));
    norm.running_mean.copy_(at::randn({5}));
    norm.running_variance.copy_(at::rand({5}) + 0.5);
  }
  const auto torch_norm = [&](const at::Tensor& mean, const at::Tensor& variance, bool training) {
    return torch::batch_norm(x, norm.weight, norm.bias, mean, variance, training, 0.01, 1e-3, false);
  };
  EXPECT_TRUE(at::allclose(norm.forward(x, BatchNormUse::running),
                           torch_norm(norm.running_mean, norm.running_variance, false), 1e-5, 1e-6));
  EXPECT_TRUE(
      at::allclose(norm.forward(x, BatchNormUse::off), torch_norm(at::zeros({5}), at::ones({5}), false), 1e-5, 1e-6));
  auto mean = norm.running_mean.clone(), variance = norm.running_variance.clone();
  const auto expected = torch_norm(mean, variance, true);
  EXPECT_TRUE(at::allclose(norm.forward(x, BatchNormUse::lane), expected, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(norm.lane_mean, x.mean({0, 2, 3}), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(norm.lane_variance, x.transpose(0, 1).flatten(1).var(1, /*unbiased=*/true), 1e-5, 1e-6));
  norm.move_running(norm.lane_mean, norm.lane_variance);
  EXPECT_TRUE(at::allclose(norm.running_mean, mean, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(norm.running_variance, variance, 1e-5, 1e-6));
  at::NoGradGuard rejuvenation;
  EXPECT_TRUE(at::allclose(norm.forward(x, BatchNormUse::lane), expected, 1e-5, 1e-6));
}

TEST(Upsample2, AgreesWithTheLibraryForwardAndBackward) {
  for (const std::int64_t size : {1, 2, 5, 8}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const auto x = at::randn({2, 3, size, size + 1}, at::kDouble).contiguous(format);
      const auto a = x.clone().requires_grad_(), b = x.clone().requires_grad_();
      const auto ours = upsample2(a);
      const auto library = at::upsample_bilinear2d(b, {2 * size, 2 * (size + 1)}, false);
      EXPECT_TRUE(at::allclose(ours, library, 0, 1e-14));
      const auto weights = at::randn(ours.sizes(), at::kDouble).contiguous(format);
      (ours * weights).sum().backward();
      (library * weights).sum().backward();
      EXPECT_TRUE(at::allclose(a.grad(), b.grad(), 0, 1e-14));
    }
  }
}

}  // namespace
}  // namespace langrun
