// Attacks: balls, starts, steps, losses and what is averaged.
#include "core/attack.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/attack_loss.h"
#include "core/noise.h"
#include "core/torch.h"
#include "core/wilson.h"

namespace langrun {
namespace {

const NoiseKey kKey = noise_key(3, Stream::attack_start);

at::Tensor image(double value) { return torch::full({3, 4, 4}, value, torch::kFloat32); }
double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }
double length(const at::Tensor& x) { return x.norm().item<double>(); }

TEST(Attack, ProjectionKeepsTheBallAndThePixelRange) {
  const AttackBall box{AttackNorm::linf, 0.1};
  EXPECT_NEAR(largest(projected(image(0.7), image(0.2), box) - image(0.3)), 0, 1e-6);
  EXPECT_NEAR(largest(projected(image(1.3), image(0.97), box) - image(1)), 0, 1e-6);
  const AttackBall ball{AttackNorm::l2, 0.5};
  const auto inside = image(0.2) + 0.01;
  EXPECT_TRUE(torch::equal(projected(inside, image(0.2), ball), inside));
  EXPECT_NEAR(length(projected(image(0.9), image(0.2), ball) - image(0.2)), 0.5, 1e-5);
}

TEST(Attack, StartsLieInTheBallAndAreKeyed) {
  for (const auto norm : {AttackNorm::linf, AttackNorm::l2}) {
    const AttackBall ball{norm, 0.3};
    const auto one = random_start(image(0), ball, kKey, {7, 0}), again = random_start(image(0), ball, kKey, {7, 0});
    EXPECT_TRUE(torch::equal(one, again));
    EXPECT_FALSE(torch::equal(one, random_start(image(0), ball, kKey, {8, 0})));
    EXPECT_FALSE(torch::equal(one, random_start(image(0), ball, kKey, {7, 2})));
    const auto measure = [&](const at::Tensor& x) { return norm == AttackNorm::linf ? largest(x) : length(x); };
    EXPECT_LE(measure(one), 0.3 + 1e-6);
    EXPECT_GT(measure(one), 0);
    EXPECT_NEAR(measure(surface_start(image(0), ball, kKey, {7, 0})), 0.3, 1e-5);
  }
}

TEST(Attack, StepsAscend) {
  const auto slope = torch::linspace(-1, 1, 48).view({3, 4, 4});
  EXPECT_TRUE(torch::equal(ascended(image(0), slope, 0.1, AttackNorm::linf), 0.1 * slope.sign()));
  EXPECT_NEAR(length(ascended(image(0), slope, 0.1, AttackNorm::l2)), 0.1, 1e-6);
  EXPECT_TRUE(torch::equal(ascended(image(0.5), torch::zeros({3, 4, 4}), 0.1, AttackNorm::l2), image(0.5)));
}

TEST(Attack, AutoPgdHalvesItsStepAndComesToTheTop) {
  // A concave loss whose top lies inside the ball: steps of 2 eps jump over it, so they have to shrink.
  const AttackBall ball{AttackNorm::linf, 0.3};
  const auto top = image(0.11);
  const auto walk = make_auto_pgd(image(0), image(-0.3), ball, 60);
  double best = -1e9;
  for (int n = 0;; ++n) {
    const double loss = -length(walk->image() - top);
    best = std::max(best, loss);
    walk->saw(loss, false);
    EXPECT_LE(largest(walk->image()), 0.3 + 1e-6);
    if (n == 60) break;
    walk->advance(top - walk->image());
  }
  EXPECT_NEAR(-length(walk->last() - top), best, 1e-6);
  EXPECT_GT(best, -0.05);
}

TEST(Attack, AutoPgdHandsOverTheLastWrongImage) {
  const auto walk = make_auto_pgd(image(0), image(0), {AttackNorm::linf, 0.3}, 5);
  at::Tensor wrong;
  for (int n = 0; n < 5; ++n) {
    if (n == 2) wrong = walk->image();
    walk->saw(n, n == 2);
    walk->advance(image(1));
  }
  EXPECT_TRUE(torch::equal(walk->last(), wrong));
}

TEST(AttackLoss, CotangentsAreTheDerivatives) {
  auto generator = at::detail::createCPUGenerator(1);
  const auto logits = at::randn({4, 5}, generator, at::kFloat);
  const std::pair<ReplicateAverage, AttackLoss> cases[] = {{ReplicateAverage::logits, AttackLoss::cross_entropy},
                                                           {ReplicateAverage::softmax, AttackLoss::cross_entropy},
                                                           {ReplicateAverage::logsoftmax, AttackLoss::cross_entropy},
                                                           {ReplicateAverage::loss, AttackLoss::cross_entropy},
                                                           {ReplicateAverage::logits, AttackLoss::dlr},
                                                           {ReplicateAverage::loss, AttackLoss::dlr}};
  for (const auto& [average, loss] : cases) {
    const auto signal = attack_signal(logits, 2, average, loss);
    for (int h = 0; h < 4; ++h)
      for (int c = 0; c < 5; ++c) {
        constexpr float step = 1e-2f;
        auto up = logits.clone(), down = logits.clone();
        up[h][c] += step;
        down[h][c] -= step;
        const double slope =
            (attack_signal(up, 2, average, loss).loss - attack_signal(down, 2, average, loss).loss) / (2 * step);
        EXPECT_NEAR(signal.cotangents[h][c].item<double>(), slope, 2e-3);
      }
  }
}

TEST(AttackLoss, AveragesAndLabels) {
  const auto logits = torch::tensor({{0.0f, 4.0f, 0.0f}, {3.0f, 0.0f, 0.0f}, {3.0f, 0.0f, 0.0f}});
  EXPECT_EQ(label_of(averaged(logits, ReplicateAverage::logits)), 0);
  EXPECT_NEAR(averaged(logits, ReplicateAverage::softmax).sum().item<double>(), 1, 1e-6);
  EXPECT_EQ(label_of(torch::tensor({1.0f, 2.0f, 2.0f})), 1);
}

TEST(Wilson, TextbookValues) {
  const auto share = wilson_interval(8, 10);
  EXPECT_NEAR(share.low, 0.4902, 1e-4);
  EXPECT_NEAR(share.high, 0.9433, 1e-4);
  EXPECT_EQ(wilson_interval(0, 10).low, 0);
  EXPECT_NEAR(wilson_interval(0, 10).high, 0.2775, 1e-4);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

}  // namespace
}  // namespace langrun
