// The presets that carry published settings, against the papers' table.
#include "launch/presets.h"

#include <gtest/gtest.h>

#include <string>

#include "launch/defend_options.h"
#include "launch/hat_options.h"
#include "launch/shortrun_options.h"

namespace langrun::launch {
namespace {

ShortrunConfig preset(const std::string& name) {
  ShortrunConfig config;
  OptionTable table("shortrun");
  bind_shortrun(table, config);
  table.presets(presets_of("shortrun"));
  table.parse({"--preset", name});
  return config;
}

struct Published {
  std::string name, network;
  std::int64_t steps;
  double generator_rate, clip;
  double eta;
  std::int64_t k;
  double temperature;
  std::string batch_norm;
  std::int64_t evaluation_k;
};

TEST(Presets, CarryThePublishedShortrunSettings) {
  for (const Published& row : {Published{"cifar10", "sngan32", 100000, 1e-4, 0, 5e-3, 100, 1e-4, "lane", 350},
                               {"celeba64", "sngan64", 150000, 1e-4, 0, 3e-3, 75, 1e-6, "off", 300},
                               {"imagenet128", "sngan128", 300000, 5e-5, 50, 3e-3, 50, 1e-7, "off", 320}}) {
    SCOPED_TRACE(row.name);
    const auto c = preset(row.name);
    EXPECT_EQ(c.init, "coop-persistent");
    EXPECT_EQ(c.training.steps, row.steps);
    EXPECT_EQ(c.training.batch, 128);
    EXPECT_EQ(c.energy.network, row.network);
    EXPECT_EQ(c.generator.network, row.network);
    EXPECT_EQ(c.energy.width, 0);
    EXPECT_EQ(c.generator.width, 0);
    EXPECT_EQ(c.generator.latent, 128);
    for (const auto* learning : {&c.energy_learning, &c.generator_learning}) {
      EXPECT_EQ(learning->optimizer.kind, "adam");
      EXPECT_EQ(learning->optimizer.beta1, 0.9);
      EXPECT_EQ(learning->optimizer.beta2, 0.999);
      EXPECT_EQ(learning->optimizer.epsilon, 1e-7);
      EXPECT_EQ(learning->average, 0.9999);
      EXPECT_EQ(learning->max_norm, row.clip);
      EXPECT_EQ(learning->drops, "");
    }
    EXPECT_EQ(c.energy_learning.learning_rate, 1e-4);
    EXPECT_EQ(c.generator_learning.learning_rate, row.generator_rate);
    EXPECT_EQ(c.langevin.eta, row.eta);
    EXPECT_EQ(c.langevin.steps, row.k);
    EXPECT_EQ(c.langevin.temperature, row.temperature);
    EXPECT_EQ(c.batch_norm, row.batch_norm);
    EXPECT_EQ(c.data_noise, 1e-2);
    EXPECT_EQ(c.bank_size, 10000);
    EXPECT_EQ(c.rejuvenation.probability, 0.5);
    EXPECT_EQ(c.rejuvenation.max_rounds, 2);
    EXPECT_EQ(c.evaluation_steps, row.evaluation_k);
  }
}

HatConfig hat_preset(const std::string& name) {
  HatConfig config;
  OptionTable table("hat");
  bind_hat(table, config);
  table.presets(presets_of("hat"));
  table.parse({"--preset", name});
  return config;
}

struct PublishedHat {
  std::string name, mode, network;
  std::int64_t width, steps;
  double rate;
  std::string drops;
  double clip;
  double eta, latent_eta;
  std::int64_t k;
  double temperature, noise;
  std::int64_t evaluation_k;
  double residual_tau, evaluation_tau, start;
};

TEST(Presets, CarryThePublishedHatSettings) {
  const std::string released_drops = "230000:1e-5,260000:1e-6";
  for (const PublishedHat& row : {
           PublishedHat{"cifar10", "synthesis", "sngan32", 0, 100000, 1e-4, "", 0, 1e-4, 5e-3, 50, 1e-3, 1e-3, 125, 0, 0, 0.01},
           {"cifar10-released", "synthesis", "sngan32", 0, 50000, 1e-4, "", 0, 5e-4, 5e-3, 50, 1e-8, 1e-3, 125, 0, 0, 0.01},
           {"celeba64", "synthesis", "sngan64", 0, 100000, 1e-4, "", 0, 1e-4, 5e-3, 50, 1e-8, 1e-3, 100, 0, 0, 0.01},
           {"celeba64-released", "synthesis", "sngan64", 0, 50000, 1e-4, "", 0, 5e-4, 5e-3, 50, 1e-8, 1e-3, 100, 0, 0, 0.01},
           {"imagenet128", "synthesis", "sngan128", 0, 300000, 1e-4, "250000:1e-5", 50, 1e-4, 5e-3, 50, 1e-8, 1e-3, 150, 0, 0, 0.01},
           {"imagenet128-released", "synthesis", "sngan128", 0, 300000, 1e-4, released_drops, 50, 5e-4, 5e-3, 50, 1e-8, 1e-3, 150, 0, 0, 0.01},
           {"imagenet128-scaled", "synthesis", "sngan128", 2048, 300000, 1e-4, "250000:1e-5", 50, 1e-4, 5e-3, 50, 1e-8, 1e-3, 150, 0, 0, 0.01},
           {"imagenet128-scaled-released", "synthesis", "sngan128", 2048, 300000, 1e-4, released_drops, 50, 5e-4, 5e-3, 50, 1e-8, 1e-3, 150, 0, 0, 0.01},
           {"cifar10-refine", "refine", "sngan32", 0, 150000, 1e-4, "", 0, 1e-4, 5e-3, 100, 1e-4, 2e-2, 350, 0, 0.25, 0},
           {"cifar10-refine-released", "refine", "sngan32", 0, 25000, 1e-5, "", 0, 1e-4, 5e-3, 250, 1e-3, 1e-3, 350, 0, 0.25, 0},
           {"celeba64-refine", "refine", "sngan64", 0, 150000, 1e-4, "", 0, 1e-4, 5e-3, 100, 1e-4, 2e-2, 125, 0, 0, 0},
           {"celeba64-refine-released", "refine", "sngan64", 0, 25000, 1e-5, "", 0, 1e-4, 5e-3, 100, 1e-6, 1e-3, 125, 0, 0, 0},
           {"cifar10-retrofit", "retrofit", "sngan32", 0, 100000, 1e-4, "", 0, 5e-3, 5e-3, 100, 1e-3, 1e-3, 125, 0.1, 0.1, 0.01},
           {"cifar10-retrofit-released", "retrofit", "sngan32", 0, 25000, 1e-4, "", 0, 5e-4, 1e-3, 100, 1e-3, 1e-2, 125, 0.1, 0.1, 0.01}}) {
    SCOPED_TRACE(row.name);
    const auto c = hat_preset(row.name);
    EXPECT_EQ(c.mode, row.mode);
    EXPECT_EQ(c.training.steps, row.steps);
    EXPECT_EQ(c.training.batch, 128);
    EXPECT_EQ(c.energy.network, row.network);
    EXPECT_EQ(c.energy.width, row.width);
    const auto& learning = c.energy_learning;
    EXPECT_EQ(learning.optimizer.kind, "adam");
    EXPECT_EQ(learning.optimizer.epsilon, 1e-7);
    EXPECT_EQ(learning.average, 0.9999);
    EXPECT_EQ(learning.learning_rate, row.rate);
    EXPECT_EQ(learning.drops, row.drops);
    EXPECT_EQ(learning.max_norm, row.clip);
    EXPECT_EQ(c.data_noise, row.noise);
    const auto chains = training_chains(c), evaluation = evaluation_chains(c);
    EXPECT_EQ(chains.pair.steps, row.k);
    EXPECT_EQ(chains.pair.residual_eta, row.eta);
    EXPECT_EQ(chains.pair.latent_eta, row.latent_eta);
    EXPECT_EQ(chains.pair.temperature, row.temperature);
    EXPECT_EQ(chains.pair.max_norm, 2.5);
    EXPECT_EQ(chains.pair.residual_tau, row.residual_tau);
    EXPECT_EQ(evaluation.pair.steps, row.evaluation_k);
    EXPECT_EQ(evaluation.pair.residual_tau, row.evaluation_tau);
    EXPECT_EQ(evaluation.residual_start, row.start);
    EXPECT_EQ(chains.sphere, row.mode == "retrofit");
    if (row.mode != "synthesis") continue;
    EXPECT_EQ(c.generator.network, row.network);
    EXPECT_EQ(c.generator.width, row.width);
    EXPECT_EQ(c.generator.factor, 2);
    EXPECT_EQ(c.bank_size, 10000);
    EXPECT_EQ(c.pairs, "historical");
    EXPECT_EQ(c.generator_learning.learning_rate, row.clip > 0 ? 5e-5 : 1e-4);
    // Both rates fall to a tenth, in the released program to values of their own.
    EXPECT_EQ(c.generator_learning.drops, row.drops == "250000:1e-5" ? "250000:5e-6" : row.drops);
    EXPECT_EQ(c.generator_learning.optimizer.kind, "adam");
    EXPECT_EQ(c.generator_learning.optimizer.epsilon, 1e-7);
    EXPECT_EQ(c.generator_learning.max_norm, 0);
    EXPECT_EQ(c.generator_learning.average, 0.9999);
  }
}

DefendOptions defend_preset(const std::string& name) {
  DefendOptions options;
  OptionTable table("defend");
  bind_defend(table, options);
  table.presets(presets_of("defend"));
  table.parse({"--preset", name});
  return options;
}

struct PublishedDefense {
  std::string name;
  double eps, alpha;
  std::int64_t attack_replicates, defense_replicates, k;
  double eta, temperature;
  std::string images;
  std::int64_t restarts;
  std::string average;
};

TEST(Presets, CarryThePublishedEvaluations) {
  for (const PublishedDefense& row : {
           PublishedDefense{"cifar10", 8, 2, 15, 150, 1500, 1e-2, 1e-2 * 1e-2 / 2, "all", 5, "logits"},
           {"cifar10-midrun", 8, 2, 48, 128, 2000, 1e-2, 1e-4, "0:5000", 1, "logits"},
           // The authors' ImageNet network ended in a softmax.
           {"imagenet224", 2, 1, 16, 64, 200, 2e-2, 1e-5, "0:10000", 1, "softmax"}}) {
    SCOPED_TRACE(row.name);
    const auto o = defend_preset(row.name);
    const auto& attack = o.evaluation.attack;
    EXPECT_EQ(attack.kind, "bpda-eot");
    EXPECT_EQ(attack.norm, "linf");
    EXPECT_EQ(attack.eps, row.eps);
    EXPECT_EQ(attack.alpha, row.alpha);
    EXPECT_EQ(attack.steps, 50);
    EXPECT_EQ(attack.start, "random");
    EXPECT_EQ(attack.restarts, row.restarts);
    EXPECT_EQ(attack.replicates, row.attack_replicates);
    EXPECT_EQ(attack.average, "same");
    EXPECT_EQ(o.evaluation.defense.replicates, row.defense_replicates);
    EXPECT_EQ(o.evaluation.defense.average, row.average);
    EXPECT_EQ(o.energy.steps, row.k);
    EXPECT_DOUBLE_EQ(o.energy.eta, row.eta);
    EXPECT_DOUBLE_EQ(o.energy.temperature, row.temperature);
    EXPECT_EQ(o.energy.precision, "fp32");
    EXPECT_EQ(o.images, row.images);
    EXPECT_EQ(o.protocols, "auto") << "the papers' rule and its controls";
  }
}

TEST(Presets, AllOfDefendAreWhole) {
  const auto all = presets_of("defend");
  EXPECT_GE(all.size(), 5u);
  for (const auto& each : all) {
    SCOPED_TRACE(each.name);
    EXPECT_EQ(each.text.substr(0, 2), "# ") << "the first line says what it is for";
    DefendOptions options;
    OptionTable table("defend");
    bind_defend(table, options);
    table.presets(all);
    table.parse({"--preset", each.name, "--data", "d.h5", "--classifier", "c.h5", "--energy", "runs/e"});
    EXPECT_NO_THROW(check_defend(options, table));
  }
}

TEST(Presets, AllAreRead) {
  const auto all = presets_of("shortrun");
  EXPECT_GE(all.size(), 7u);
  for (const auto& each : all) {
    SCOPED_TRACE(each.name);
    EXPECT_NO_THROW(preset(each.name));
    EXPECT_EQ(each.text.substr(0, 2), "# ") << "the first line says what it is for";
  }
}

}  // namespace
}  // namespace langrun::launch
