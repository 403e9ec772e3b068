// What the command line of hat takes and refuses; its presets and those of autoencoder.
#include "launch/hat_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "launch/autoencoder_options.h"
#include "launch/presets.h"

namespace langrun::launch {
namespace {

HatConfig hat_preset(const std::string& name) {
  HatConfig config;
  OptionTable table("hat");
  bind_hat(table, config);
  table.presets(presets_of("hat"));
  table.parse({"--preset", name});
  return config;
}

AutoencoderConfig autoencoder_preset(const std::string& name) {
  AutoencoderConfig config;
  OptionTable table("autoencoder");
  bind_autoencoder(table, config);
  table.presets(presets_of("autoencoder"));
  table.parse({"--preset", name});
  return config;
}

TEST(HatPresets, CarryThePublishedAutoencoderSettings) {
  const auto c = autoencoder_preset("cifar10");
  EXPECT_EQ(c.training.steps, 39000);  // 100 epochs of 50,000 images, but for the last part of a batch
  EXPECT_EQ(c.training.batch, 128);
  EXPECT_EQ(c.encoder.width, 0);
  EXPECT_EQ(c.decoder.network, "decoder32");
  EXPECT_EQ(c.decoder.width, 0);
  EXPECT_EQ(c.decoder.latent, 16 * 16);
  EXPECT_EQ(c.decoder.factor, 2);
  EXPECT_EQ(c.latent_noise, 2e-2);
  EXPECT_EQ(c.learning.optimizer.kind, "adam");
  EXPECT_EQ(c.learning.optimizer.epsilon, 1e-7);
  EXPECT_EQ(c.learning.learning_rate, 1e-4);
  EXPECT_EQ(c.learning.drops, "");
}

template <typename Read>
void expect_read(const std::string& command, std::size_t at_least, const Read& read) {
  const auto all = presets_of(command);
  EXPECT_GE(all.size(), at_least);
  for (const auto& each : all) {
    SCOPED_TRACE(command + " " + each.name);
    EXPECT_NO_THROW(read(each.name));
    EXPECT_EQ(each.text.substr(0, 2), "# ") << "the first line says what it is for";
  }
}

TEST(HatPresets, AllAreRead) {
  expect_read("hat", 18, hat_preset);
  expect_read("autoencoder", 2, autoencoder_preset);
}

// A preset that is used as its help says refuses nothing of its own.
TEST(HatPresets, HatsAreAccepted) {
  for (const auto& each : presets_of("hat")) {
    SCOPED_TRACE(each.name);
    HatConfig config;
    OptionTable table("hat");
    bind_hat(table, config);
    table.presets(presets_of("hat"));
    std::vector<std::string> words{"--preset", each.name};
    if (hat_preset(each.name).mode != "synthesis") words.insert(words.end(), {"--source.generator", "runs/a"});
    table.parse(words);
    EXPECT_NO_THROW(check_hat_options(words, table, config));
  }
}

std::string refused(const std::vector<std::string>& words) {
  HatConfig config;
  OptionTable table("hat");
  bind_hat(table, config);
  table.presets(presets_of("hat"));
  table.parse(words);
  try {
    check_hat_options(words, table, config);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

TEST(HatOptions, WhatAModeDoesNotUseIsRefused) {
  const auto of = [](const std::string& mode, std::vector<std::string> more) {
    std::vector<std::string> words{"--mode", mode, "--langevin.temperature", "1"};
    if (mode != "synthesis") words.insert(words.end(), {"--source.generator", "runs/a"});
    words.insert(words.end(), more.begin(), more.end());
    return refused(words);
  };
  for (const auto& mode : hat_mode_names()) {
    SCOPED_TRACE(mode);
    EXPECT_EQ(of(mode, {}), "");
    const bool synthesis = mode == "synthesis", ddls = mode == "ddls";
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"--pairs", "historical"}, {"--bank.size", "64"}, {"--generator.width", "4"}})
      EXPECT_EQ(of(mode, words).empty(), synthesis) << words[0];
    EXPECT_EQ(of(mode, {"--latent.eta", "0.1"}).empty(), !synthesis && mode != "conditional");
    for (const std::string key : {"residual.start", "evaluation.residual-tau", "langevin.eta", "langevin.max-norm"})
      EXPECT_EQ(of(mode, {"--" + key, "0.01"}).empty(), !ddls) << key;
  }
  EXPECT_NE(of("refine", {"--bank.size", "64"}).find("--bank.size with --mode refine"), std::string::npos);
  EXPECT_EQ(of("synthesis", {"--residual", "off", "--latent.eta", "0.1"}), "");
  EXPECT_NE(of("synthesis", {"--residual", "off", "--langevin.eta", "0.1"}), "");
  EXPECT_NE(of("synthesis", {"--pairs", "current", "--bank.size", "64"}), "");
  EXPECT_EQ(of("ddls", {"--langevin.steps", "5"}), "") << "of samples, where --evaluation.steps says nothing";
  EXPECT_NE(of("ddls", {"--langevin.steps", "5", "--evaluation.steps", "9"}), "");
  // A preset is a whole configuration: an ablation may begin from it.
  EXPECT_EQ(refused({"--preset", "cifar10-small", "--pairs", "current"}), "");
  EXPECT_EQ(refused({"--preset", "cifar10-refine", "--mode", "conditional", "--source.generator", "runs/a"}), "");
  // So may another mode: what its preset says of residuals nobody has asked for.
  const std::vector<std::string> words{"--preset", "cifar10-retrofit", "--mode", "ddls", "--source.generator", "runs/a"};
  EXPECT_EQ(refused(words), "");
  for (const std::string tau : {"0", "0.1"}) {
    auto named = words;
    named.insert(named.end(), {"--residual.tau", tau});
    EXPECT_NE(refused(named).find("--residual.tau with --mode ddls"), std::string::npos) << tau;
  }
}

TEST(HatOptions, ADiscriminatorsTemperatureIsNotGuessed) {
  EXPECT_NE(refused({"--mode", "ddls", "--source.generator", "runs/a"}).find("langevin.temperature"),
            std::string::npos);
  EXPECT_EQ(refused({"--preset", "cifar10-ddls-small", "--source.generator", "runs/a"}), "");
}

}  // namespace
}  // namespace langrun::launch
