// How well the chains of a bank are: what every step records of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jobs/bank_share.h"
#include "jobs/lane_work.h"
#include "jobs/step_record.h"
#include "jobs/training.h"

namespace langrun {

/// Scalars of a lane that ride along with its gradients; summed over lanes they make the record. Counts are exact up to
/// 2^24.
struct BankHealth {
  /// Ages 0, 1, 2-3, 4-7, ...: the last bin takes all that are older.
  static constexpr std::size_t kAgeBins = 24;
  static constexpr std::size_t kScalars = 9 + kAgeBins;
  /// Two chains are duplicates where the root of their mean squared distance is below it, pixel range [-1, 1].
  static constexpr double kDuplicate = 0.1;

  /// Of one lane's step, once its chains are sampled. `bank`: nullptr where chains do not persist.
  static std::vector<float> of_lane(const LaneWork& work, const BankShare* bank);
  /// Adds to `record`: rejuvenated, saturated, duplicates, energy_bank, energy_fresh (not a number where no such chain
  /// made a step), and of a bank bank_mean_age and bank_ages. `sums`: of_lane's, over all lanes.
  static void record(std::span<const double> sums, const BankShare* bank, StepRecord& record);
};

/// The first images of the bank's first lane: under each a bar of its age against the oldest, duplicates among them
/// framed, below them the lane's ages in BankHealth's bins; the title says these in words. Points of the plane as a
/// histogram, without marks.
Panel bank_panel(const std::string& title, const BankShare& bank, std::int64_t most);

/// Counts of ages in BankHealth's bins.
std::vector<float> age_bins(const std::vector<std::int64_t>& rounds);

}  // namespace langrun
