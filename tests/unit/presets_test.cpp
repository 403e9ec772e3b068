// The presets that carry published settings, against the papers' table.
#include "launch/presets.h"

#include <gtest/gtest.h>

#include <string>

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
