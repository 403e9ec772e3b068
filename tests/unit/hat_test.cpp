// The pieces of hat energies: networks, losses, settings.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/module_tensors.h"
#include "core/networks/autoencoder.h"
#include "core/sphere.h"
#include "core/torch.h"
#include "core/updates.h"
#include "jobs/hat_chains.h"
#include "jobs/hat_config.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

std::string message_of(const HatConfig& config) {
  try {
    check_hat(config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

TEST(Autoencoder, LatentsAreOnTheSphere) {
  const auto encoder = make_encoder({.width = 6}, 1);
  const auto z = encoder->encode(torch::rand({3, 3, 32, 32}) * 2 - 1);
  EXPECT_EQ(z.sizes(), at::IntArrayRef({3, 256}));
  EXPECT_TRUE(torch::allclose(z.norm(2, 1), torch::full({3}, 16.0), 1e-5, 1e-5));
  EXPECT_EQ(on_sphere(torch::zeros({2, 4})).abs().max().item<float>(), 0);
  EXPECT_THROW(encoder->encode(torch::rand({3, 3, 16, 16})), Error);
  EXPECT_THROW(make_encoder({.network = "encoder64"}, 1), Error);
}

TEST(Autoencoder, TheDecoderIsAGenerator) {
  const auto decoder = make_generator({.network = "decoder32", .width = 6, .latent = 256, .factor = 2}, 1);
  EXPECT_EQ(decoder->output(), (ImageShape{3, 32, 32}));
  EXPECT_EQ(decoder->batch_norms().size(), 8u);  // one of the stem, two of each further block, one at the end
  const auto x = decoder->generate(torch::randn({2, 256}), BatchNormUse::off);
  EXPECT_EQ(x.sizes(), at::IntArrayRef({2, 3, 32, 32}));
  EXPECT_THROW(make_generator({.network = "decoder32", .latent = 128}, 1), Error);
}

TEST(Generator, TheFactorScalesItsImages) {
  const auto z = torch::randn({2, 8});
  const auto plain = make_generator({.network = "sngan32", .width = 4, .latent = 8}, 1)->generate(z, BatchNormUse::off);
  const auto twice =
      make_generator({.network = "sngan32", .width = 4, .latent = 8, .factor = 2}, 1)->generate(z, BatchNormUse::off);
  EXPECT_TRUE(torch::equal(plain * 2, twice));
  EXPECT_THROW(make_generator({.factor = 0}, 1), Error);
  const auto back = generator_config(facts_of(GeneratorConfig{.latent = 8, .factor = 1.5}), "here");
  EXPECT_EQ(back.factor, 1.5);
  EXPECT_EQ(generator_config({{"network", "sngan32"}}, "here").factor, 1) << "files from before factors";
}

TEST(Generator, BatchNormOffLearnsScaleAndShiftAlone) {
  const auto generator = make_generator({.network = "sngan32", .width = 4, .latent = 8}, 1);
  const auto before = named_state(*generator);
  std::vector<at::Tensor> copies;
  for (const auto& [name, tensor] : before) copies.push_back(tensor.detach().clone());
  const auto z = torch::randn({3, 8});
  const auto alone = generator->generate(z.slice(0, 0, 1), BatchNormUse::off);
  const auto together = generator->generate(z, BatchNormUse::off);
  EXPECT_TRUE(torch::allclose(alone, together.slice(0, 0, 1), 1e-5, 1e-6)) << "samples are coupled";
  together.square().sum().backward();
  for (const auto& norm : generator->batch_norms()) {
    EXPECT_TRUE(norm->weight.grad().defined());
    EXPECT_TRUE(norm->bias.grad().defined());
    EXPECT_FALSE(norm->lane_mean.defined()) << "statistics were taken";
  }
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(torch::equal(before[i].second.detach(), copies[i])) << before[i].first;
}

TEST(HatUpdate, TheGeneratorsLossIsAThousandTimesTheMean) {
  const auto generator = make_generator({.network = "sngan32", .width = 4, .latent = 8}, 1);
  const auto z = torch::randn({2, 8}), x = torch::rand({2, 3, 32, 32});
  const auto made = generator->generate(z, BatchNormUse::off).detach();
  const auto loss = generator_lane_gradients(*generator, z, x, BatchNormUse::off, 1000.0 / (3 * 32 * 32));
  EXPECT_NEAR(loss, 1000 * (x - made).square().mean().item<double>(), 1e-3 * loss);
}

TEST(HatUpdate, TheDiscriminatorsLossIsLogistic) {
  const auto energy = make_energy({.network = "light", .width = 4}, 1);
  const auto data = torch::rand({3, 3, 32, 32}), made = -torch::rand({3, 3, 32, 32});
  const double t = 0.3;
  const auto result = energy_lane_gradients(*energy, data, made, t, EnergyLoss::logistic);
  std::vector<at::Tensor> found;
  for (const auto& weight : energy->parameters()) found.push_back(weight.grad().clone());
  energy->zero_grad();
  const auto loss = torch::binary_cross_entropy_with_logits(-energy->energy(data) / t, torch::ones({3})) +
                    torch::binary_cross_entropy_with_logits(-energy->energy(made) / t, torch::zeros({3}));
  EXPECT_NEAR(result.loss, loss.item<double>(), 1e-5);
  loss.backward();
  std::size_t i = 0;
  for (const auto& weight : energy->parameters()) EXPECT_TRUE(torch::allclose(found[i++], weight.grad(), 1e-4, 1e-6));
}

TEST(HatConfig, ModesSayWhatMoves) {
  HatConfig config;
  const auto synthesis = training_chains(config);
  EXPECT_TRUE(synthesis.plain());
  EXPECT_EQ(evaluation_chains(config).residual_start, 0.01);
  EXPECT_EQ(evaluation_chains(config).pair.max_norm, 0) << "no clipping in evaluation";
  config.residual = "off";
  EXPECT_TRUE(training_chains(config).pair.moves_latent);
  EXPECT_FALSE(training_chains(config).pair.moves_residual);
  config.residual = "on";
  config.mode = "retrofit";
  const auto retrofit = training_chains(config);
  EXPECT_TRUE(retrofit.pair.moves_latent && retrofit.pair.moves_residual && retrofit.sphere);
  EXPECT_EQ(retrofit.pair.residual_tau, 0.1);
  config.mode = "refine";
  config.evaluation_residual_tau = 0.25;
  EXPECT_EQ(training_chains(config).pair.residual_tau, 0);
  EXPECT_EQ(evaluation_chains(config).pair.residual_tau, 0.25);
  EXPECT_EQ(evaluation_chains(config).residual_start, 0);
  config.mode = "conditional";
  config.evaluation_residual_tau = -1;
  EXPECT_TRUE(training_chains(config).plain());
  config.mode = "ddls";
  const auto ddls = evaluation_chains(config);
  EXPECT_TRUE(ddls.pair.latent_prior && ddls.pair.moves_latent && !ddls.pair.moves_residual);
}

TEST(HatConfig, SaysWhatImagesAStepHolds) {
  HatConfig config;
  EXPECT_EQ(hat_images(config).each_lane, 4) << "past pairs";
  EXPECT_EQ(hat_images(config).moving, 0) << "ordinary chains";
  config.residual = "off";
  EXPECT_EQ(hat_images(config).moving, 3);
  config.residual = "on";
  config.pairs = "current";
  EXPECT_EQ(hat_images(config).each_lane, 3);
  config.pairs = "historical";
  for (const std::string mode : {"refine", "retrofit", "ddls", "conditional"}) {
    config.mode = mode;
    EXPECT_EQ(hat_images(config).each_lane, 3) << mode;
    EXPECT_EQ(hat_images(config).moving, mode == "conditional" ? 0 : 3) << mode;
  }
}

TEST(HatConfig, ChainsAreWrittenAndReadBack) {
  HatConfig config;
  config.mode = "retrofit";
  config.latent_eta = 0.0123;
  const auto wanted = evaluation_chains(config);
  const auto read = hat_chain_config(facts_of(wanted), "here");
  EXPECT_EQ(facts_of(read), facts_of(wanted));
  EXPECT_EQ(read.pair.latent_eta, 0.0123);
  EXPECT_TRUE(read.pair.on_sphere);
  EXPECT_THROW(hat_chain_config({{"latent_eta", "much"}}, "here"), Error);
}

TEST(HatConfig, EveryModeRefusesWhatItLacks) {
  HatConfig config;
  EXPECT_EQ(message_of(config), "");
  config.source.generator = "runs/a";
  EXPECT_NE(message_of(config).find("frozen"), std::string::npos);
  for (const auto& mode : hat_mode_names()) {
    if (mode == "synthesis") continue;
    config.mode = mode;
    EXPECT_EQ(message_of(config), "") << mode;
    auto lacking = config;
    lacking.source.generator.clear();
    EXPECT_NE(message_of(lacking).find("source.generator is missing"), std::string::npos) << mode;
  }
}

}  // namespace
}  // namespace langrun
