// classify: shifts and attacks of training images, validation, presets against the papers' settings.
#include "jobs/classify.h"

#include <gtest/gtest.h>

#include <set>

#include "core/adversarial.h"
#include "core/augment.h"
#include "core/error.h"
#include "core/torch.h"
#include "distributed/communicator.h"
#include "launch/classify_options.h"
#include "launch/presets.h"

namespace langrun {
namespace {

constexpr NoiseKey kKey{{3, 4}};

TEST(Augment, ShiftsMoveWithinReachAndBringBlackIn) {
  const auto images = torch::rand({64, 3, 8, 8}) + 0.5;  // brighter than what moves in
  const auto moved = shifted(images, 2, kKey, 100);
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (std::int64_t i = 0; i < 64; ++i) {
    const auto padded = at::constant_pad_nd(images[i], {2, 2, 2, 2}, -1);
    for (std::int64_t y = 0; y <= 4; ++y)
      for (std::int64_t x = 0; x <= 4; ++x)
        if (torch::equal(moved[i], padded.narrow(1, y, 8).narrow(2, x, 8))) seen.emplace(y, x);
  }
  EXPECT_GT(seen.size(), 18u);  // of 25 places, 64 draws miss few
  EXPECT_TRUE(seen.contains({0, 0}) || seen.contains({4, 4}) || seen.contains({0, 4}) || seen.contains({4, 0}));
  EXPECT_TRUE(torch::equal(shifted(images, 0, kKey, 0), images));
}

TEST(Augment, AShiftBelongsToThePosition) {
  const auto images = torch::rand({8, 3, 8, 8});
  const auto all = shifted(images, 4, kKey, 40);
  EXPECT_TRUE(torch::equal(shifted(images.narrow(0, 5, 3), 4, kKey, 45), all.narrow(0, 5, 3)));
}

TEST(Adversarial, StaysInTheBallAndRaisesTheLoss) {
  const auto net = make_classifier({.network = "resnet20", .width = 8}, 2);
  net->train();
  const auto images = torch::rand({6, 3, 32, 32}) * 2 - 1;
  const auto labels = torch::arange(6);
  const AdversarialConfig config{.steps = 5, .eps = 8, .alpha = 2};
  const auto attacked = adversarial(*net, images, labels, config, kKey, 0);
  EXPECT_TRUE(net->is_training());
  for (const auto& weight : net->parameters()) EXPECT_FALSE(weight.grad().defined());
  EXPECT_LE((attacked - images).abs().max().item<double>(), 16.0 / 255 + 1e-6);
  EXPECT_LE(attacked.abs().max().item<double>(), 1);
  net->eval();
  const auto loss = [&](const at::Tensor& x) {
    return at::cross_entropy_loss(net->logits(x), labels).item<double>();
  };
  EXPECT_GT(loss(attacked), loss(images) + 0.05);
  EXPECT_TRUE(torch::equal(adversarial(*net, images, labels, {}, kKey, 0), images));
}

ClassifyConfig preset(const std::string& name) {
  ClassifyConfig config;
  launch::OptionTable table("classify");
  launch::bind_classify(table, config);
  table.presets(launch::presets_of("classify"));
  table.parse({"--preset", name});
  return config;
}

TEST(Classify, PresetsCarryThePublishedSettings) {
  const auto c = preset("cifar10");
  EXPECT_EQ(c.classifier.network, "wrn28-10");
  EXPECT_EQ(c.training.batch, 100);
  EXPECT_EQ(c.training.steps, 100 * 500);  // epochs of 50000 / 100 steps
  EXPECT_EQ(c.learning.optimizer.kind, "sgd");
  EXPECT_EQ(c.learning.optimizer.momentum, 0.9);
  EXPECT_FALSE(c.learning.optimizer.nesterov);
  EXPECT_EQ(c.learning.optimizer.weight_decay, 2e-4);
  EXPECT_EQ(c.learning.drops, "19500:0.01,29500:0.001");  // epochs 40 and 60
  const auto lifecycle = preset("cifar10-lifecycle");
  EXPECT_EQ(lifecycle.training.batch, 96);
  EXPECT_EQ(lifecycle.learning.optimizer.weight_decay, 5e-4);
  const auto svhn = preset("svhn");
  EXPECT_EQ(svhn.learning.learning_rate, 0.01);
  EXPECT_FALSE(svhn.augment.flip);
  const auto attacked = preset("cifar10-adversarial");
  EXPECT_EQ(attacked.adversarial.steps, 10);
  EXPECT_EQ(attacked.adversarial.eps, 8);
  for (const auto& one : launch::presets_of("classify")) EXPECT_NO_THROW(preset(one.name)) << one.name;
}

TEST(Classify, RefusesWhatItWouldIgnore) {
  const auto solo = make_solo_communicator();
  const auto refused = [&](const ClassifyConfig& config) {
    try {
      make_classify(config, *solo);
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::done;
  };
  auto low = preset("small");
  low.training.precision = "bf16";
  EXPECT_EQ(refused(low), ExitCode::usage);
  auto nesterov = preset("small");
  nesterov.learning.optimizer.momentum = 0;
  EXPECT_EQ(refused(nesterov), ExitCode::usage);
  auto flat = preset("small");
  flat.adversarial = {.steps = 1, .eps = 0, .alpha = 1};
  EXPECT_EQ(refused(flat), ExitCode::usage);
}

}  // namespace
}  // namespace langrun
