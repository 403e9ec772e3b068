#include "jobs/bank_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/torch.h"
#include "jobs/energy_phases.h"
#include "jobs/points_panel.h"

namespace langrun {
namespace {

enum Scalar {
  kRounds,
  kRejuvenated,
  kSaturated,
  kValues,
  kDuplicates,
  kChains,
  kMeasured,  // chains whose energy before their steps is known: of those that make none it is not
  kBankEnergy,
  kFreshEnergy,
  kAges
};
static_assert(kAges + BankHealth::kAgeBins == BankHealth::kScalars);

/// Which of the chains have another within BankHealth::kDuplicate.
std::vector<bool> duplicates(const at::Tensor& chains) {
  // The order of values in memory does not matter here, and this one saves a copy.
  const auto flat = chains.permute({0, 2, 3, 1}).contiguous().flatten(1);
  const auto n = flat.size(0), length = flat.size(1);
  const double limit = BankHealth::kDuplicate * BankHealth::kDuplicate * static_cast<double>(length);
  std::vector<bool> doubled(static_cast<std::size_t>(n));
  // Pair by pair, not as a product of matrices: |a|^2 + |b|^2 - 2ab loses what near chains differ by.
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < i; ++j) {
      const auto* a = flat.const_data_ptr<float>() + i * length;
      const auto* b = flat.const_data_ptr<float>() + j * length;
      double distance = 0;
      // In pieces: most pairs are far apart, and seen to be after the first one.
      for (std::int64_t at = 0; at < length && distance < limit; at += 64) {
        float piece = 0;
        for (std::int64_t k = at; k < std::min(at + 64, length); ++k) piece += (a[k] - b[k]) * (a[k] - b[k]);
        distance += piece;
      }
      if (distance < limit) doubled[static_cast<std::size_t>(i)] = doubled[static_cast<std::size_t>(j)] = true;
    }
  return doubled;
}

float count_of(const std::vector<bool>& flags) {
  return static_cast<float>(std::count(flags.begin(), flags.end(), true));
}

std::int64_t saturated_values(const at::Tensor& chains) { return (chains.abs() > 1).sum().item<std::int64_t>(); }

double ratio(double sum, double count) { return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN(); }

}  // namespace

std::vector<float> age_bins(const std::vector<std::int64_t>& rounds) {
  std::vector<float> bins(BankHealth::kAgeBins);
  for (const auto age : rounds)
    ++bins[std::min<std::size_t>(std::bit_width(static_cast<std::uint64_t>(age)), bins.size() - 1)];
  return bins;
}

std::vector<float> BankHealth::of_lane(const LaneWork& work, const BankShare* bank) {
  const torch::NoGradGuard constant;
  std::vector<float> scalars(kAges);
  const auto& chains = work.sampled.host;
  for (const auto flag : work.rejuvenated) scalars[kRejuvenated] += flag;
  scalars[kSaturated] = static_cast<float>(saturated_values(chains));
  scalars[kValues] = static_cast<float>(chains.numel());
  scalars[kDuplicates] = count_of(duplicates(chains));
  scalars[kChains] = static_cast<float>(chains.size(0));
  if (const auto& first = work.sampled.record.first_energy; first.defined()) {
    const auto energies = first.to(torch::kCPU);
    scalars[kMeasured] = static_cast<float>(work.rejuvenated.size());
    for (std::size_t i = 0; i < work.rejuvenated.size(); ++i)
      scalars[work.rejuvenated[i] ? kFreshEnergy : kBankEnergy] += energies.const_data_ptr<float>()[i];
  }
  if (bank == nullptr) {
    scalars.resize(kScalars);
    return scalars;
  }
  const auto rounds = bank->rounds_after(work);
  scalars[kRounds] = static_cast<float>(std::accumulate(rounds.begin(), rounds.end(), std::int64_t{0}));
  for (const float count : age_bins(rounds)) scalars.push_back(count);
  return scalars;
}

Panel bank_panel(const std::string& title, const BankShare& bank, std::int64_t most) {
  const torch::NoGradGuard constant;
  const auto& lane = bank.lanes()[0];
  auto panel = panel_of(title, lane.images, most);
  if (are_points({lane.images.size(1), lane.images.size(2), lane.images.size(3)})) return panel;
  const auto shown = lane.images.narrow(0, 0, panel.count);
  const auto oldest = std::max<std::int64_t>(1, *std::max_element(lane.updates.begin(), lane.updates.end()));
  for (std::int64_t i = 0; i < panel.count; ++i)
    panel.marks.bars.push_back(static_cast<float>(lane.updates[static_cast<std::size_t>(i)]) /
                               static_cast<float>(oldest));
  panel.marks.framed = duplicates(shown);
  panel.marks.histogram = age_bins(lane.updates);
  const double mean = std::accumulate(lane.updates.begin(), lane.updates.end(), 0.0) / static_cast<double>(lane.rows());
  panel.title += fmt::format(
      ", bars: ages, at most {} rounds, mean {:.1f}; below: ages 0, 1, 2-3, 4-7 and so on; framed: {:.0f} duplicates; "
      "saturated {:.1f} %",
      oldest, mean, count_of(panel.marks.framed),
      100 * static_cast<double>(saturated_values(shown)) / static_cast<double>(shown.numel()));
  return panel;
}

void BankHealth::record(std::span<const double> sums, const BankShare* bank, StepRecord& record) {
  const double chains = sums[kChains], fresh = sums[kRejuvenated];
  const bool measured = sums[kMeasured] > 0;  // in all lanes or in none: a job's chains make as many steps in each
  record.more.emplace_back("rejuvenated", fresh);
  record.more.emplace_back("saturated", ratio(sums[kSaturated], sums[kValues]));
  record.more.emplace_back("duplicates", ratio(sums[kDuplicates], chains));
  record.more.emplace_back("energy_bank", ratio(sums[kBankEnergy], measured ? chains - fresh : 0));
  record.more.emplace_back("energy_fresh", ratio(sums[kFreshEnergy], measured ? fresh : 0));
  if (bank == nullptr) return;
  record.bank_mean_age = sums[kRounds] / static_cast<double>(bank->slots());
  record.arrays.emplace_back("bank_ages", std::vector<double>(sums.begin() + kAges, sums.begin() + kScalars));
}

}  // namespace langrun
