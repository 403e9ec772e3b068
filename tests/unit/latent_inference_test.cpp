// Langevin on latents against its formula.
#include "core/latent_inference.h"

#include <gtest/gtest.h>

#include "core/torch.h"

namespace langrun {
namespace {

TEST(LatentInference, OneStepIsItsFormula) {
  const auto generator = make_generator({"sngan32", 8, 6}, 3);
  torch::manual_seed(2);
  const auto z = torch::randn({4, 6}), x = torch::rand({4, 3, 32, 32}) * 2 - 1;
  InferenceConfig config;
  config.steps = 1;
  config.eta = 0.05;
  config.sigma = 0.4;
  const auto key = noise_key(5, Stream::inference);
  const std::vector<std::uint64_t> identities{3, 9, 1, 4};
  const auto moved = infer_latents(*generator, z, x, config, BatchNormUse::off, key, identities);

  const auto at = z.clone().requires_grad_();
  const auto distance = (generator->generate(at, BatchNormUse::off) - x).square().sum();
  const auto slope = torch::autograd::grad({distance}, {at})[0] / (2 * 0.4 * 0.4);
  auto noise = torch::empty_like(z);
  for (std::size_t i = 0; i < identities.size(); ++i)
    fill_normal(key, {identities[i], 0}, {noise.mutable_data_ptr<float>() + 6 * i, 6});
  EXPECT_TRUE(torch::allclose(moved, z - 0.05 * 0.05 / 2 * (z + slope) + 0.05 * noise, 1e-4, 1e-5));
  for (const auto& weight : generator->parameters()) EXPECT_TRUE(weight.requires_grad());
}

TEST(LatentInference, BringsTheGeneratorsImagesNearer) {
  const auto generator = make_generator({"sngan32", 8, 6}, 3);
  torch::manual_seed(2);
  const torch::NoGradGuard constant;
  const auto x = generator->generate(torch::randn({4, 6}), BatchNormUse::off);
  const auto z = torch::randn({4, 6});
  InferenceConfig config;
  config.steps = 200;
  config.eta = 0.05;
  config.sigma = 0.1;
  const auto inferred =
      infer_latents(*generator, z, x, config, BatchNormUse::off, noise_key(5, Stream::inference), {0, 1, 2, 3});
  const auto distance = [&](const at::Tensor& from) {
    return (generator->generate(from, BatchNormUse::off) - x).square().sum().item<double>();
  };
  EXPECT_LT(distance(inferred), 0.5 * distance(z));
}

}  // namespace
}  // namespace langrun
