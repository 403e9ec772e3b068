// longrun, convergent and the prior's midrun: presets against the papers' table.
#include <gtest/gtest.h>

#include "core/error.h"
#include "distributed/communicator.h"
#include "launch/convergent_options.h"
#include "launch/longrun_options.h"
#include "launch/midrun_options.h"
#include "launch/presets.h"

namespace langrun {
namespace {

template <typename Config>
Config preset(const std::string& job, void (*bind)(launch::OptionTable&, Config&), const std::string& name) {
  Config config;
  launch::OptionTable table(job);
  bind(table, config);
  table.presets(launch::presets_of(job));
  table.parse({"--preset", name});
  return config;
}

constexpr const char* kAnneal = "50000:1e-5,75000:1e-6,100000:1e-7,125000:1e-8";

struct Longrun {
  std::string name, network;
  double rate, noise, temperature, joint;
  std::int64_t bank;
};

TEST(LongerChains, LongrunPresetsCarryThePublishedSettings) {
  for (const Longrun& row : {Longrun{"cifar10", "sngan32", 1e-4, 2e-2, 1e-4, 1.005, 10000},
                             {"cifar10-released", "sngan32", 2.5e-5, 2e-2, 1e-4, 1.005, 10000},
                             {"celeba64", "sngan64", 1e-4, 2e-2, 1e-4, 1.01, 15000},
                             {"celeba64-released", "sngan64", 2.5e-5, 2e-2, 1e-4, 1.01, 15000},
                             {"imagenet64", "biggan64", 1e-4, 2e-2, 1e-5, 1.01, 15000},
                             {"imagenet64-released", "biggan64", 1e-4, 1.5e-2, 1e-5, 1.01, 15000}}) {
    SCOPED_TRACE(row.name);
    const auto c = preset<LongrunConfig>("longrun", launch::bind_longrun, row.name);
    EXPECT_EQ(c.training.steps, 250000);
    EXPECT_EQ(c.training.batch, 128);
    EXPECT_EQ(c.energy.network, row.network);
    EXPECT_EQ(c.energy_learning.learning_rate, row.rate);
    EXPECT_EQ(c.energy_learning.drops, kAnneal);
    EXPECT_EQ(c.energy_learning.average, 0);
    EXPECT_EQ(c.data_noise, row.noise);
    EXPECT_EQ(c.langevin.eta, 1e-2);
    EXPECT_EQ(c.langevin.steps, 100);
    EXPECT_EQ(c.langevin.temperature, row.temperature);
    EXPECT_EQ(c.terms.tau, 0.15);
    EXPECT_EQ(c.terms.joint_temperature, row.joint);
    EXPECT_EQ(c.burn_in_rounds, 750);
    EXPECT_EQ(c.burn_in_size, 1000);
    EXPECT_EQ(c.update_size, row.bank);
  }
}

struct Prior {
  std::string name, network;
  double noise, temperature;
  std::int64_t k;
};

TEST(LongerChains, PriorPresetsCarryThePublishedSettings) {
  for (const Prior& row : {Prior{"cifar10-prior", "sngan32", 2e-2, 1e-4, 50},
                           {"celeba64-prior", "sngan64", 2e-2, 1e-4, 100},
                           {"imagenet64-prior", "biggan64", 1.5e-2, 1e-5, 100}}) {
    SCOPED_TRACE(row.name);
    const auto c = preset<MidrunConfig>("midrun", launch::bind_midrun, row.name);
    EXPECT_TRUE(c.prior);
    EXPECT_EQ(c.tau, 0.15);
    EXPECT_EQ(c.training.steps, 150000);
    EXPECT_EQ(c.energy.network, row.network);
    EXPECT_EQ(c.energy_learning.learning_rate, 1e-4);
    EXPECT_EQ(c.energy_learning.drops, "");
    EXPECT_EQ(c.data_noise, row.noise);
    EXPECT_EQ(c.langevin.steps, row.k);
    EXPECT_EQ(c.langevin.temperature, row.temperature);
    EXPECT_EQ(c.bank_size, 10000);
    EXPECT_EQ(rejuvenation_probability(c), 0.2);
  }
}

struct Convergent {
  std::string name;
  std::int64_t steps, sgd_from;
  double eta, noise, sgd_rate;
};

TEST(LongerChains, ConvergentPresetsCarryThePublishedSettings) {
  for (const Convergent& row : {Convergent{"cifar10", 150000, 50000, 1e-2, 2e-2, 5e-5},
                                {"cifar10-released", 250000, 125000, 1e-2, 2e-2, 5e-5},
                                {"cifar10-adam", 150000, 0, 1e-2, 2e-2, 5e-5},
                                {"svhn", 250000, 125000, 1.75e-2, 3e-2, 2.5e-5}}) {
    SCOPED_TRACE(row.name);
    const auto c = preset<ConvergentConfig>("convergent", launch::bind_convergent, row.name);
    EXPECT_EQ(c.training.steps, row.steps);
    EXPECT_EQ(c.training.batch, 100);
    EXPECT_EQ(c.training.lanes, 4);
    EXPECT_EQ(c.energy.network, "light");
    EXPECT_EQ(c.energy.width, 0);
    EXPECT_EQ(c.energy_learning.learning_rate, 1e-4);
    EXPECT_EQ(c.energy_learning.optimizer.epsilon, 1e-8);
    EXPECT_EQ(c.energy_learning.average, 0);
    EXPECT_EQ(c.bank_size, 0);
    EXPECT_EQ(c.sgd_from, row.sgd_from);
    EXPECT_EQ(c.sgd_rate, row.sgd_rate);
    EXPECT_EQ(c.langevin.steps, 100);
    EXPECT_EQ(c.langevin.eta, row.eta);
    // The gradient's weight on the network's U is 1.
    EXPECT_DOUBLE_EQ(c.langevin.gradient_weight(), 1);
    EXPECT_EQ(c.data_noise, row.noise);
  }
}

TEST(LongerChains, SettingsThatContradictEachOtherAreRefused) {
  const auto world = make_solo_communicator();
  auto convergent = preset<ConvergentConfig>("convergent", launch::bind_convergent, "cifar10");
  convergent.energy_learning.optimizer.kind = "sgd";
  EXPECT_THROW(make_convergent(convergent, *world), Error);
  LongrunConfig longrun;
  longrun.terms.prior_temperature = 1e-4;
  EXPECT_THROW(make_longrun(longrun, *world), Error);
}

}  // namespace
}  // namespace langrun
