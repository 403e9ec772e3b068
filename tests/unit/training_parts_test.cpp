// Bank, schedule, clipping, optimiser state, averages.
#include <gtest/gtest.h>

#include <set>

#include "core/bank.h"
#include "core/error.h"
#include "core/gradient_watch.h"
#include "core/module_tensors.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/optimizer.h"
#include "core/schedule.h"
#include "core/torch.h"
#include "core/updates.h"

namespace langrun {
namespace {

const NoiseKey kKey = noise_key(3, Stream::bank_draw);

std::shared_ptr<Energy> small_energy(std::uint64_t seed) { return make_energy({"light", 4, false, "random"}, seed); }

TEST(Bank, DrawsWithoutReplacement) {
  const auto rows = draw_rows(kKey, 3, 17, 50, 50);
  EXPECT_EQ(std::set<std::int64_t>(rows.begin(), rows.end()).size(), 50u);
  EXPECT_EQ(*std::min_element(rows.begin(), rows.end()), 0);
  EXPECT_EQ(draw_rows(kKey, 3, 17, 50, 10), std::vector<std::int64_t>(rows.begin(), rows.begin() + 10));
  EXPECT_NE(draw_rows(kKey, 3, 18, 50, 50), rows);
  EXPECT_NE(draw_rows(kKey, 2, 17, 50, 50), rows);
  EXPECT_THROW(draw_rows(kKey, 0, 1, 4, 5), Error);
}

TEST(Bank, DrawsEveryRowEquallyOften) {
  std::vector<int> hits(20, 0);
  for (std::int64_t step = 1; step <= 4000; ++step)
    for (const auto row : draw_rows(kKey, 0, step, 20, 5)) ++hits[static_cast<std::size_t>(row)];
  double chi2 = 0;
  for (const int hit : hits)
    chi2 += (hit - 1000.0) * (hit - 1000.0) / 750.0;  // variance n p (1 - p) of a draw of 5 in 20
  EXPECT_LT(chi2, 43.8);                              // 0.999 quantile of chi-square with 19 degrees
}

TEST(Bank, RejuvenatesByChanceAndByAge) {
  const auto key = noise_key(3, Stream::rejuvenation);
  int fresh = 0;
  for (std::uint64_t slot = 0; slot < 20000; ++slot) fresh += rejuvenates(key, slot, 9, 1, {0.3, 2});
  EXPECT_NEAR(fresh / 20000.0, 0.3, 4 * std::sqrt(0.21 / 20000));
  EXPECT_TRUE(rejuvenates(key, 5, 9, 3, {0.0, 2}));
  EXPECT_FALSE(rejuvenates(key, 5, 9, 2, {0.0, 2}));
  EXPECT_FALSE(rejuvenates(key, 5, 9, 1000, {0.0, 0}));
  EXPECT_TRUE(rejuvenates(key, 5, 9, 0, {1.0, 0}));
}

TEST(Bank, RowsComeBackWhereTheyWereDrawn) {
  auto bank = BankLane::make(6, {3, 4, 4}, 2);
  bank.put({4, 1}, torch::ones({2, 3, 4, 4}), torch::full({2, 2}, 5.0));
  EXPECT_EQ(bank.images.sum().item<float>(), 2 * 48);
  EXPECT_TRUE(torch::equal(bank.take_images({1}), torch::ones({1, 3, 4, 4})));
  EXPECT_TRUE(torch::equal(bank.take_latents({4, 0}), torch::tensor({{5.0f, 5.0f}, {0.0f, 0.0f}})));
}

TEST(Schedule, DropsAfterTheStatedStep) {
  const auto schedule = parse_schedule(1e-4, "50:1e-5,75:1e-6");
  EXPECT_EQ(schedule.at(1), 1e-4);
  EXPECT_EQ(schedule.at(50), 1e-4);
  EXPECT_EQ(schedule.at(51), 1e-5);
  EXPECT_EQ(schedule.at(1000), 1e-6);
  EXPECT_EQ(parse_schedule(0, "50:1e-5").at(51), 0) << "what is frozen begins to learn";
  for (const char* wrong : {"50", "50:x", "50:1e-5,40:1e-6", "-1:1e-5", "50:0", "5 0:1"})
    EXPECT_THROW(parse_schedule(1e-4, wrong), Error) << wrong;
}

TEST(Gradients, TravelAndAreClippedByTensor) {
  const auto energy = small_energy(1);
  const auto weights = named_weights(*energy);
  const auto result = energy_lane_gradients(*energy, torch::ones({2, 3, 32, 32}), -torch::ones({3, 3, 32, 32}), 0.5);
  EXPECT_TRUE(std::isfinite(result.data_energy));
  std::vector<at::Tensor> before;
  for (const auto& [name, weight] : weights) before.push_back(weight.grad().clone());
  std::vector<float> flat(static_cast<std::size_t>(weight_count(*energy)));
  take_gradients(weights, flat);
  EXPECT_FALSE(weights[0].second.grad().defined());
  set_gradients(weights, flat, 2.0);
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_TRUE(torch::equal(weights[i].second.grad(), before[i] * 2));
  EXPECT_EQ(clip_gradients(weights, 0), 0);
  EXPECT_GT(clip_gradients(weights, 1e-3), 0);
  for (const auto& [name, weight] : weights) EXPECT_LE(weight.grad().norm().item<double>(), 1.0001e-3) << name;
}

TEST(Gradients, AreThoseOfTheMaximumLikelihoodLoss) {
  const auto energy = small_energy(2);
  const auto data = torch::rand({4, 3, 32, 32}), chains = torch::rand({4, 3, 32, 32});
  energy_lane_gradients(*energy, data, chains, 0.1);
  const auto weight = named_weights(*energy)[0].second;
  const auto measured = weight.grad().clone();
  weight.mutable_grad() = at::Tensor();
  ((energy->energy(data).mean() - energy->energy(chains).mean()) / 0.1).backward();
  EXPECT_LT((measured - weight.grad()).norm().item<double>(), 1e-4 * weight.grad().norm().item<double>());
}

// Of large images the two halves go one after the other; who listens is told of each weight once.
TEST(Gradients, OfLargeImagesAreTheSameAndToldOnce) {
  const auto energy = make_energy({.network = "biggan224", .width = 4}, 3);
  const auto weights = named_weights(*energy);
  const auto data = torch::rand({2, 3, 224, 224}), chains = -3 * torch::rand({2, 3, 224, 224});
  std::vector<int> told(weights.size());
  EnergyLaneResult result{};
  {
    const GradientWatch watch(weights, [&](std::size_t weight) { ++told[weight]; });
    result = energy_lane_gradients(*energy, data, chains, 0.1);
  }
  EXPECT_EQ(told, std::vector<int>(weights.size(), 1));
  std::vector<at::Tensor> measured;
  for (const auto& [name, weight] : weights) {
    measured.push_back(weight.grad().clone());
    weight.mutable_grad() = at::Tensor();
  }
  const auto energies = energy->energy(torch::cat({data, chains}));
  const auto data_energy = energies.narrow(0, 0, 2).mean(), chain_energy = energies.narrow(0, 2, 2).mean();
  ((data_energy - chain_energy) / 0.1).backward();
  EXPECT_NEAR(result.loss, (data_energy - chain_energy).item<double>() / 0.1, 1e-3 * std::abs(result.loss));
  EXPECT_NEAR(result.data_energy, data_energy.item<float>(), 1e-4 * std::abs(result.data_energy));
  EXPECT_NEAR(result.chain_energy, chain_energy.item<float>(), 1e-4 * std::abs(result.chain_energy));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto expected = weights[i].second.grad();
    EXPECT_LT((measured[i] - expected).norm().item<double>(), 1e-3 * (1e-2 + expected.norm().item<double>()))
        << weights[i].first;
  }
}

TEST(Gradients, OfTheGeneratorAreThoseOfTheSquaredDistance) {
  const auto generator = make_generator({"sngan32", 8, 6}, 3);
  const auto latents = torch::randn({3, 6}), images = torch::rand({3, 3, 32, 32}) * 2 - 1;
  const auto loss = [&] {
    // Summed over pixels, mean over the batch.
    return (images - generator->generate(latents, BatchNormUse::off)).to(torch::kDouble).square().sum() / 3.0;
  };
  const auto given = generator_lane_gradients(*generator, latents, images, BatchNormUse::off);
  EXPECT_NEAR(given, loss().item<double>(), 1e-5 * given);
  for (auto& [name, weight] : named_weights(*generator)) {
    const auto measured = weight.grad().clone();
    weight.mutable_grad() = at::Tensor();
    const auto own = torch::autograd::grad({loss()}, {weight})[0];
    EXPECT_LE((measured - own).norm().item<double>(), 1e-4 * own.norm().item<double>() + 1e-6) << name;
  }
}

TEST(Optimizer, GoesOnFromItsState) {
  for (const char* kind : {"adam", "sgd"}) {
    OptimizerConfig config;
    config.kind = kind;
    config.momentum = 0.9;
    const auto train = [&](Energy& energy, Optimizer& optimizer, int steps) {
      for (int i = 0; i < steps; ++i) {
        energy_lane_gradients(energy, torch::ones({2, 3, 32, 32}), torch::zeros({2, 3, 32, 32}), 1);
        optimizer.step(1e-2);
      }
    };
    const auto whole = small_energy(1), cut = small_energy(1);
    Optimizer straight(*whole, config), first(*cut, config), second(*cut, config);
    train(*whole, straight, 4);
    train(*cut, first, 2);
    second.restore(first.state());
    train(*cut, second, 2);
    const auto a = named_weights(*whole), b = named_weights(*cut);
    for (std::size_t i = 0; i < a.size(); ++i)
      EXPECT_TRUE(torch::equal(a[i].second, b[i].second)) << kind << " " << a[i].first;
  }
}

TEST(Average, MovesTowardsTheWeights) {
  const auto weights = small_energy(1), average = small_energy(2);
  const auto w = named_weights(*weights)[0].second.clone(), a = named_weights(*average)[0].second.clone();
  move_average(*weights, *average, 0.75);
  EXPECT_TRUE(torch::allclose(named_weights(*average)[0].second, 0.75 * a + 0.25 * w));
}

TEST(Average, TakesBuffersRaw) {
  const auto weights = make_generator({"sngan32", 8, 6}, 1), average = make_generator({"sngan32", 8, 6}, 1);
  const at::NoGradGuard no_grad;
  for (auto& layer : weights->batch_norms()) {
    layer->running_mean.fill_(0.25);
    layer->running_variance.fill_(3);
  }
  move_average(*weights, *average, 0.99);
  for (auto& layer : average->batch_norms()) {
    EXPECT_TRUE(torch::equal(layer->running_mean, torch::full_like(layer->running_mean, 0.25)));
    EXPECT_TRUE(torch::equal(layer->running_variance, torch::full_like(layer->running_variance, 3)));
  }
}

}  // namespace
}  // namespace langrun
