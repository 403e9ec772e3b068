// Steps of attacks, and what they climb, against their definitions.
#include "core/attack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "core/attack_loss.h"
#include "core/error.h"
#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

const NoiseKey kKey = noise_key(3, Stream::attack_start);

/// [3, 8, 8], spread over [-low, low].
at::Tensor image(double low = 1) { return torch::linspace(-low, low, 3 * 8 * 8).view({3, 8, 8}); }

double length(const at::Tensor& x) { return x.to(torch::kDouble).norm().item<double>(); }
double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

TEST(Attack, ProjectsOnTheCubeAndThePixelRange) {
  const AttackBall ball{AttackNorm::linf, 0.25};
  const auto center = image(), far = center + torch::sin(torch::arange(192.0)).view({3, 8, 8}).to(torch::kFloat);
  const auto near = projected(far, center, ball);
  EXPECT_LE(largest(near - center), 0.25 + 1e-6);
  EXPECT_LE(largest(near), 1);
  const auto inside = ((far - center).abs() < 0.25) & (far.abs() < 1);
  EXPECT_GT(inside.sum().item<std::int64_t>(), 10);
  EXPECT_TRUE(torch::equal(near.masked_select(inside), far.masked_select(inside)));
  EXPECT_TRUE(torch::equal(projected(near, center, ball), near));
}

TEST(Attack, ProjectsOnTheBallAlongTheWay) {
  const AttackBall ball{AttackNorm::l2, 0.5};
  const auto center = image(0.5), way = torch::cos(torch::arange(192.0)).view({3, 8, 8}).to(torch::kFloat);
  const auto near = projected(center + way, center, ball);
  EXPECT_NEAR(length(near - center), 0.5, 1e-6);
  EXPECT_LT(largest((near - center) / 0.5 - way / length(way)), 1e-5);
  const auto inside = center + way * (0.4 / length(way));
  EXPECT_TRUE(torch::equal(projected(inside, center, ball), inside));
  EXPECT_LE(largest(projected(image() + way, image(), ball)), 1);
}

TEST(Attack, StartsAreInsideTheBallAndKeyed) {
  for (const auto norm : {AttackNorm::linf, AttackNorm::l2}) {
    const AttackBall ball{norm, 0.3};
    const auto center = image(0.5);
    const auto distance = [&](const at::Tensor& x) {
      return norm == AttackNorm::linf ? largest(x - center) : length(x - center);
    };
    const auto start = random_start(center, ball, kKey, {7, 2});
    EXPECT_LE(distance(start), 0.3 + 1e-6);
    EXPECT_GT(distance(start), 0);
    EXPECT_TRUE(torch::equal(random_start(center, ball, kKey, {7, 2}), start));
    EXPECT_FALSE(torch::equal(random_start(center, ball, kKey, {8, 2}), start)) << "another image";
    EXPECT_FALSE(torch::equal(random_start(center, ball, kKey, {7, 4}), start)) << "another restart";
    EXPECT_FALSE(torch::equal(random_start(center, ball, noise_key(4, Stream::attack_start), {7, 2}), start));
    const auto surface = surface_start(center, ball, kKey, {7, 2});
    EXPECT_NEAR(distance(surface), 0.3, 1e-6);
    EXPECT_TRUE(torch::equal(surface_start(center, ball, kKey, {7, 2}), surface));
    EXPECT_LE(largest(random_start(image(), ball, kKey, {7, 2})), 1);
    EXPECT_LE(largest(surface_start(image(), ball, kKey, {7, 2})), 1);
  }
}

TEST(Attack, RandomStartsFillTheBall) {
  // Uniform in the cube: mean 0, variance eps^2 / 3. Radii of the ball: uniform.
  const auto center = torch::zeros({3, 32, 32});
  const auto offset = random_start(center, {AttackNorm::linf, 0.5}, kKey, {}).to(torch::kDouble);
  EXPECT_NEAR(offset.mean().item<double>(), 0, 4 * 0.5 / std::sqrt(3.0 * 3072));
  EXPECT_NEAR(offset.square().mean().item<double>(), 0.25 / 3, 0.1 * 0.25 / 3);
  double sum = 0, low = 1, high = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const double radius = length(random_start(torch::zeros({3, 2, 2}), {AttackNorm::l2, 0.5}, kKey, {i, 0})) / 0.5;
    sum += radius;
    low = std::min(low, radius);
    high = std::max(high, radius);
  }
  EXPECT_NEAR(sum / 200, 0.5, 4 * std::sqrt(1.0 / 12 / 200));
  EXPECT_LT(low, 0.05);
  EXPECT_GT(high, 0.95);
}

TEST(Attack, StepsByTheSignOrAlongTheGradient) {
  const auto x = image(0.5), gradient = torch::tensor({-3.0f, 0.0f, 4.0f}).view({3, 1, 1}).expand({3, 8, 8}) * 1e-4;
  const auto by_sign = ascended(x, gradient, 0.1, AttackNorm::linf) - x;
  EXPECT_LT(largest(by_sign[0] + 0.1), 1e-6);
  EXPECT_EQ(largest(by_sign[1]), 0);
  EXPECT_LT(largest(by_sign[2] - 0.1), 1e-6);
  const auto along = ascended(x, gradient, 0.1, AttackNorm::l2) - x;
  EXPECT_NEAR(length(along), 0.1, 1e-6);
  EXPECT_LT(largest(along[0] * 4 + along[2] * 3), 1e-6);
  for (const auto norm : {AttackNorm::linf, AttackNorm::l2})
    EXPECT_TRUE(torch::equal(ascended(x, torch::zeros_like(x), 0.1, norm), x));
}

TEST(Attack, PlainAscentStaysInTheBallAndHandsOverWhereItIs) {
  const auto center = torch::zeros({1, 1, 1});
  const auto walk = make_pgd(center, center, {AttackNorm::linf, 0.1}, 0.04);
  for (const double expected : {0.04, 0.08, 0.1, 0.1}) {
    walk->saw(0, true);
    walk->advance(torch::ones({1, 1, 1}));
    EXPECT_NEAR(walk->image().item<double>(), expected, 1e-6);
  }
  EXPECT_TRUE(torch::equal(walk->last(), walk->image()));
}

TEST(AutoPgd, HalvesItsStepAndReturnsToItsBestPoint) {
  // Ten steps: first checked after two, then after each. The loss only falls behind the start, so every check halves
  // the step, from .2, and goes on from the start (at 0) along the gradient there, +1, whatever it is elsewhere.
  const auto center = torch::zeros({1, 1, 1});
  const auto walk = make_auto_pgd(center, center, {AttackNorm::linf, 0.1}, 10);
  std::vector<double> seen;
  for (int n = 0; n < 5; ++n) {
    walk->saw(n == 0 ? 1 : -n, false);
    walk->advance(torch::full({1, 1, 1}, n == 0 ? 1.0f : -1.0f));
    seen.push_back(walk->image().item<double>());
  }
  // .75 step + .25 (x - the point before): .1 + .75 (-.2) + .25 .1, then .75 .1 - .25 .1, .75 .05, .75 .025.
  const std::vector<double> expected{0.1, -0.025, 0.05, 0.0375, 0.01875};
  for (std::size_t n = 0; n < seen.size(); ++n) EXPECT_NEAR(seen[n], expected[n], 1e-6) << n;
  EXPECT_TRUE(torch::equal(walk->last(), center)) << "never wrong: the best loss's";
}

TEST(AutoPgd, KeepsItsStepWhileTheLossRises) {
  const auto center = torch::zeros({1, 1, 1});
  const auto walk = make_auto_pgd(center, center, {AttackNorm::linf, 0.1}, 10);
  for (int n = 0; n < 8; ++n) {
    walk->saw(n, false);
    walk->advance(torch::ones({1, 1, 1}));
    EXPECT_NEAR(walk->image().item<double>(), 0.1, 1e-6) << n;
  }
}

TEST(AutoPgd, FindsTheTopOfAHill) {
  for (const auto norm : {AttackNorm::linf, AttackNorm::l2}) {
    const auto center = torch::zeros({3, 1, 1}), top = torch::tensor({0.03f, -0.05f, 0.01f}).view({3, 1, 1});
    const auto start = surface_start(center, {norm, 0.1}, kKey, {});
    const auto walk = make_auto_pgd(center, start, {norm, 0.1}, 100);
    for (int n = 0; n < 100; ++n) {
      walk->saw(-(walk->image() - top).square().sum().item<double>(), false);
      walk->advance(top - walk->image());
    }
    EXPECT_LT(length(walk->last() - top), 2e-3);
  }
}

TEST(AutoPgd, HandsOverTheLastWrongImage) {
  const auto center = torch::zeros({1, 1, 1});
  const auto walk = make_auto_pgd(center, center, {AttackNorm::linf, 0.1}, 20);
  at::Tensor wrong;
  for (int n = 0; n < 12; ++n) {
    const bool now = n == 2 || n == 7;
    if (now) wrong = walk->image().clone();
    walk->saw(n == 4 ? 100 : -n, now);
    walk->advance(torch::full({1, 1, 1}, n % 3 == 0 ? 1.0f : -1.0f));
  }
  EXPECT_TRUE(torch::equal(walk->last(), wrong)) << "not the one of the highest loss";
}

TEST(AutoPgd, GoesOnWithoutALoss) {
  const auto center = torch::zeros({1, 1, 1});
  const auto walk = make_auto_pgd(center, center, {AttackNorm::linf, 0.1}, 10);
  for (int n = 0; n < 10; ++n) {
    walk->saw(std::numeric_limits<double>::quiet_NaN(), false);
    walk->advance(torch::ones({1, 1, 1}));
    EXPECT_LE(largest(walk->image()), 0.1 + 1e-6);
  }
  EXPECT_TRUE(torch::equal(walk->last(), center));
}

using Rows = std::vector<std::vector<double>>;

std::vector<double> log_softmax(const std::vector<double>& row) {
  double sum = 0;
  for (const double v : row) sum += std::exp(v);
  auto logs = row;
  for (double& v : logs) v -= std::log(sum);
  return logs;
}

double loss_by_definition(const std::vector<double>& scores, std::size_t label, AttackLoss loss) {
  if (loss == AttackLoss::cross_entropy) return -log_softmax(scores)[label];
  auto sorted = scores;
  std::sort(sorted.rbegin(), sorted.rend());
  double other = -std::numeric_limits<double>::infinity();
  for (std::size_t c = 0; c < scores.size(); ++c)
    if (c != label) other = std::max(other, scores[c]);
  return -(scores[label] - other) / (sorted[0] - sorted[2]);
}

double loss_by_definition(const Rows& logits, std::size_t label, ReplicateAverage average, AttackLoss loss) {
  const auto count = static_cast<double>(logits.size());
  if (average == ReplicateAverage::loss) {
    double sum = 0;
    for (const auto& row : logits) sum += loss_by_definition(row, label, loss);
    return sum / count;
  }
  std::vector<double> mean(logits[0].size(), 0);
  for (const auto& row : logits) {
    auto part = average == ReplicateAverage::logits ? row : log_softmax(row);
    for (std::size_t c = 0; c < mean.size(); ++c)
      mean[c] += (average == ReplicateAverage::softmax ? std::exp(part[c]) : part[c]) / count;
  }
  return loss_by_definition(mean, label, loss);
}

TEST(AttackSignal, CotangentsAreTheLosssDerivatives) {
  constexpr std::size_t kReplicates = 4, kClasses = 5;
  Rows logits(kReplicates, std::vector<double>(kClasses));
  auto given = torch::empty({kReplicates, kClasses});
  for (std::size_t h = 0; h < kReplicates; ++h)
    for (std::size_t c = 0; c < kClasses; ++c) {
      given[h][c] = 2 * std::sin(1.7 * static_cast<double>(h * kClasses + c) + 0.3);
      logits[h][c] = given[h][c].item<double>();
    }
  for (const auto average :
       {ReplicateAverage::logits, ReplicateAverage::softmax, ReplicateAverage::logsoftmax, ReplicateAverage::loss})
    for (const auto loss : {AttackLoss::cross_entropy, AttackLoss::dlr})
      for (std::size_t label = 0; label < kClasses; ++label) {
        const auto signal = attack_signal(given, static_cast<std::int64_t>(label), average, loss);
        EXPECT_NEAR(signal.loss, loss_by_definition(logits, label, average, loss), 1e-5);
        ASSERT_EQ(signal.cotangents.sizes(), given.sizes());
        for (std::size_t h = 0; h < kReplicates; ++h)
          for (std::size_t c = 0; c < kClasses; ++c) {
            constexpr double kStep = 1e-5;
            auto up = logits, down = logits;
            up[h][c] += kStep;
            down[h][c] -= kStep;
            const double slope =
                (loss_by_definition(up, label, average, loss) - loss_by_definition(down, label, average, loss)) /
                (2 * kStep);
            EXPECT_NEAR(signal.cotangents[h][c].item<double>(), slope, 1e-4 * std::abs(slope) + 3e-6)
                << "average " << static_cast<int>(average) << " loss " << static_cast<int>(loss) << " label " << label;
          }
      }
}

TEST(AttackSignal, LeavesGradModeAndLogitsAlone) {
  const torch::NoGradGuard constant;
  const auto logits = torch::arange(6.0).view({2, 3}).to(torch::kFloat);
  const auto signal = attack_signal(logits, 0, ReplicateAverage::logits, AttackLoss::cross_entropy);
  EXPECT_FALSE(at::GradMode::is_enabled());
  EXPECT_FALSE(logits.requires_grad());
  EXPECT_FALSE(signal.cotangents.requires_grad());
  EXPECT_GT(largest(signal.cotangents), 0);
}

TEST(AttackSignal, LogitRatioWantsThreeClasses) {
  EXPECT_THROW(attack_signal(torch::zeros({2, 2}), 0, ReplicateAverage::logits, AttackLoss::dlr), Error);
}

TEST(AttackSignal, LabelIsTheFirstOfEquals) {
  EXPECT_EQ(label_of(torch::tensor({0.0f, 2.0f, 2.0f})), 1);
  const auto mean = averaged(torch::tensor({{4.0f, 0.0f}, {0.0f, 1.0f}}), ReplicateAverage::logits);
  EXPECT_EQ(label_of(mean), 0);
}

}  // namespace
}  // namespace langrun
