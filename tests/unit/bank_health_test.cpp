// What a step records of its chains: counted by hand.
#include "jobs/bank_health.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/torch.h"
#include "jobs/chain_source.h"

namespace langrun {
namespace {

TEST(BankHealth, PutsAgesIntoBins) {
  const auto bins = age_bins({0, 0, 1, 2, 3, 4, 7, 8, 750, std::int64_t{1} << 60});
  ASSERT_EQ(bins.size(), BankHealth::kAgeBins);
  EXPECT_EQ(bins[0], 2);
  EXPECT_EQ(bins[1], 1);
  EXPECT_EQ(bins[2], 2);
  EXPECT_EQ(bins[3], 2);
  EXPECT_EQ(bins[4], 1);
  EXPECT_EQ(bins[10], 1);
  EXPECT_EQ(bins.back(), 1);
}

double of(const StepRecord& record, const std::string& name) {
  for (const auto& [key, value] : record.more)
    if (key == name) return value;
  ADD_FAILURE() << "no " << name;
  return 0;
}

LaneWork some_work(std::int64_t chains) {
  LaneWork work;
  work.sampled.host = torch::zeros({chains, 3, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast);
  // Far from each other, one value of 48 beyond the range.
  for (std::int64_t i = 0; i < chains; ++i) work.sampled.host[i].fill_(0.4 * static_cast<double>(i) - 0.8);
  work.sampled.host[0][0][0][0] = -1.5;
  work.rejuvenated.assign(static_cast<std::size_t>(chains), 0);
  work.sampled.record.first_energy = torch::arange(chains, torch::kFloat32);
  return work;
}

TEST(BankHealth, CountsWhatAStepDid) {
  auto work = some_work(4);
  work.sampled.host[3].copy_(work.sampled.host[2] + 0.05);
  work.rejuvenated[1] = 1;
  const auto lane = BankHealth::of_lane(work, nullptr);
  ASSERT_EQ(lane.size(), BankHealth::kScalars);
  StepRecord record;
  BankHealth::record(std::vector<double>(lane.begin(), lane.end()), nullptr, record);
  EXPECT_EQ(of(record, "rejuvenated"), 1);
  EXPECT_DOUBLE_EQ(of(record, "saturated"), 1.0 / (4 * 48));
  EXPECT_EQ(of(record, "duplicates"), 0.5);
  EXPECT_DOUBLE_EQ(of(record, "energy_fresh"), 1);
  EXPECT_DOUBLE_EQ(of(record, "energy_bank"), (0.0 + 2 + 3) / 3);
  EXPECT_FALSE(record.bank_mean_age.has_value());
}

TEST(BankHealth, NamesNoEnergyOfChainsThatAreNotThere) {
  const auto work = some_work(2);
  const auto lane = BankHealth::of_lane(work, nullptr);
  StepRecord record;
  BankHealth::record(std::vector<double>(lane.begin(), lane.end()), nullptr, record);
  EXPECT_TRUE(std::isnan(of(record, "energy_fresh")));
  EXPECT_EQ(of(record, "duplicates"), 0);
}

// Of chains that make no step, as a discriminator's: none, and not 0.
TEST(BankHealth, NamesNoEnergyWhereNoneWasMeasured) {
  auto work = some_work(2);
  work.rejuvenated[1] = 1;
  work.sampled.record.first_energy = at::Tensor();
  const auto lane = BankHealth::of_lane(work, nullptr);
  // It travels with the gradients, whose sum must be finite.
  for (const float value : lane) EXPECT_TRUE(std::isfinite(value));
  StepRecord record;
  BankHealth::record(std::vector<double>(lane.begin(), lane.end()), nullptr, record);
  EXPECT_TRUE(std::isnan(of(record, "energy_fresh")));
  EXPECT_TRUE(std::isnan(of(record, "energy_bank")));
  EXPECT_EQ(of(record, "rejuvenated"), 1);
}

TEST(BankHealth, AgesAreThoseAfterTheStep) {
  const ImageShape image{3, 4, 4};
  BankShare bank({1, 0, 1}, 6, 4, image, 0);
  UniformSource source(image);
  const RunKeys keys(3);
  bank.fill(source, keys.bank_fill);
  bank.spread_ages(5, keys.bank_fill);
  auto work = some_work(4);
  bank.draw(work, 1, keys, {0.5, 0}, source);
  const auto lane = BankHealth::of_lane(work, &bank);
  work.host_latents = work.latents;
  bank.put_back(work);
  StepRecord record;
  BankHealth::record(std::vector<double>(lane.begin(), lane.end()), &bank, record);
  double sum = 0;
  for (const auto age : bank.lanes()[0].updates) sum += static_cast<double>(age);
  EXPECT_DOUBLE_EQ(*record.bank_mean_age, sum / 6);
  const auto bins = age_bins(bank.lanes()[0].updates);
  ASSERT_EQ(record.arrays.size(), 1u);
  EXPECT_EQ(record.arrays[0].first, "bank_ages");
  EXPECT_EQ(record.arrays[0].second, std::vector<double>(bins.begin(), bins.end()));
}

TEST(BankHealth, ThePictureOfABankMarksAgesAndDuplicates) {
  const ImageShape image{3, 4, 4};
  BankShare bank({1, 0, 1}, 6, 4, image, 0);
  UniformSource source(image);
  const RunKeys keys(3);
  bank.fill(source, keys.bank_fill);
  const RejuvenationRule never{0};
  for (int step = 1; step <= 3; ++step) {
    LaneWork work;
    bank.draw(work, step, keys, never, source);
    work.sampled.host = work.chains.clone();
    // The first of a step's chains become alike.
    work.sampled.host[1].copy_(work.sampled.host[0]);
    bank.put_back(work);
  }
  const auto& lane = bank.lanes()[0];
  const auto panel = bank_panel("bank", bank, 5);
  ASSERT_EQ(panel.count, 5);
  ASSERT_EQ(panel.marks.bars.size(), 5u);
  ASSERT_EQ(panel.marks.framed.size(), 5u);
  const auto oldest = *std::max_element(lane.updates.begin(), lane.updates.end());
  std::int64_t framed = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_FLOAT_EQ(panel.marks.bars[i], static_cast<float>(lane.updates[i]) / static_cast<float>(oldest));
    bool alike = false;
    for (std::size_t j = 0; j < 5; ++j)
      alike |= i != j && lane.images[static_cast<std::int64_t>(i)].equal(lane.images[static_cast<std::int64_t>(j)]);
    EXPECT_EQ(panel.marks.framed[i], alike) << i;
    framed += alike;
  }
  EXPECT_EQ(panel.marks.histogram, age_bins(lane.updates));
  EXPECT_NE(panel.title.find("at most " + std::to_string(oldest) + " rounds"), std::string::npos) << panel.title;
  EXPECT_NE(panel.title.find("framed: " + std::to_string(framed) + " duplicates"), std::string::npos) << panel.title;
}

TEST(BankHealth, BanksSideBySideDrawEachItsOwn) {
  const ImageShape image{3, 4, 4};
  UniformSource source(image);
  const RunKeys keys(3);
  BankShare first({2, 0, 2}, 40, 4, image, 0), second({2, 0, 2}, 40, 4, image, 0, {"burn_in", "--burn-in.size", 40, 2});
  for (auto* bank : {&first, &second}) bank->fill(source, keys.bank_fill);
  EXPECT_FALSE(torch::equal(first.lanes()[0].images, second.lanes()[0].images));
  LaneWork one, other;
  first.draw(one, 1, keys, {0, 0}, source);
  second.draw(other, 1, keys, {0, 0}, source);
  EXPECT_NE(one.rows, other.rows);
  for (const auto slot : other.slots) EXPECT_GE(slot, 40u);
}

}  // namespace
}  // namespace langrun
