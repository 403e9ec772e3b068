#include "core/networks/initialise.h"

#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/torch.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

/// U(-bound, bound) by its bounds, mean and variance.
void expect_uniform(const at::Tensor& values, double bound) {
  const auto wide = values.detach().to(at::kDouble);
  const double n = static_cast<double>(wide.numel());
  EXPECT_LE(wide.abs().max().item<double>(), bound * (1 + 1e-6));
  EXPECT_GT(wide.abs().max().item<double>(), bound * (1 - 20 / n));
  EXPECT_LT(std::abs(wide.mean().item<double>()), 5 * bound / std::sqrt(3 * n));
  EXPECT_NEAR(wide.square().mean().item<double>() / (bound * bound / 3), 1, 5 / std::sqrt(n));
}

TEST(Initialise, LightHasPytorchsDefault) {
  const auto energy = make_energy({.network = "light"}, 5);
  const auto parameters = energy->named_parameters();
  EXPECT_EQ(parameters.keys().front(), "f.0.weight");
  EXPECT_EQ(parameters.keys().back(), "f.8.bias");
  expect_uniform(parameters["f.4.weight"], 1 / std::sqrt(64 * 16.0));
  expect_uniform(parameters["f.4.bias"], 1 / std::sqrt(64 * 16.0));
}

TEST(Initialise, SnganHasGlorotKernelsAndZeroBiases) {
  const auto energy = make_energy({.network = "sngan32", .width = 64}, 5);
  const auto parameters = energy->named_parameters();
  expect_uniform(parameters["stem.conv1.weight"], std::sqrt(6 / (9.0 * (3 + 64))));
  expect_uniform(parameters["blocks.1.conv2.weight"], std::sqrt(6 / (9.0 * (64 + 64))));
  expect_uniform(parameters["linear.weight"], std::sqrt(6 / 65.0));
  for (const auto& item : parameters) {
    if (!item.key().ends_with("bias")) continue;
    EXPECT_EQ(item.value().count_nonzero().item<std::int64_t>(), 0) << item.key();
  }
}

TEST(Initialise, GeneratorsBatchNormStartsAtOneAndZero) {
  const auto generator = make_generator({.network = "sngan32", .width = 16, .latent = 8}, 5);
  for (const auto& norm : generator->batch_norms()) {
    EXPECT_TRUE(at::equal(norm->weight, at::ones_like(norm->weight)));
    EXPECT_TRUE(at::equal(norm->bias, at::zeros_like(norm->bias)));
  }
  expect_uniform(generator->named_parameters()["linear.weight"], std::sqrt(6.0 / (8 + 256)));
}

TEST(Initialise, NumbersComeFromSeedAndNameAlone) {
  const auto a = make_energy({.network = "sngan32", .width = 16}, 5);
  const auto b = make_energy({.network = "sngan32", .width = 16}, 5);
  const auto c = make_energy({.network = "sngan32", .width = 16}, 6);
  for (const auto& item : a->named_parameters()) {
    if (item.key().ends_with("bias")) continue;
    EXPECT_TRUE(at::equal(item.value(), b->named_parameters()[item.key()])) << item.key();
    EXPECT_FALSE(at::equal(item.value(), c->named_parameters()[item.key()])) << item.key();
  }
  EXPECT_FALSE(
      at::equal(a->named_parameters()["blocks.1.conv1.weight"], a->named_parameters()["blocks.2.conv1.weight"]));
}

TEST(Initialise, NameIdentityIsFnv1a) {
  // Published test values of FNV-1a, 64 bits.
  EXPECT_EQ(name_identity(""), 0xcbf29ce484222325u);
  EXPECT_EQ(name_identity("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(name_identity("foobar"), 0x85944171f73967e8u);
}

}  // namespace
}  // namespace langrun
