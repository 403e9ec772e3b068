// What a training step measured: one line of metrics.jsonl.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace langrun {

/// A timer over ranks, seconds.
struct Spread {
  double min = 0, avg = 0, max = 0;
  bool operator==(const Spread&) const = default;
};

/// One line of metrics.jsonl. Everything but image_steps_per_second and seconds_* is mathematics and has the same bits
/// on any number of ranks; float values are widened to double, which is exact.
struct StepRecord {
  std::int64_t step = 0;                 ///< finished steps, this one included: the first line says 1
  /// (mean U(data) - mean U(chains)) / T: the loss of the energy; none where no energy learns, or as a discriminator.
  std::optional<double> energy_difference;
  /// Mean of (eta^2 / 2) ||grad E||_2 over samples and Langevin steps.
  std::optional<double> gradient_magnitude;
  /// Of the batch: cross entropy, 1000 times the mean squared error of an autoencoder, logistic of a discriminator.
  std::optional<double> loss;
  std::optional<double> accuracy;         ///< of the batch, as the classifier stood before the step
  double learning_rate = 0;               ///< of the energy, the classifier or the autoencoder
  std::optional<double> generator_loss;  ///< squared distance of chains and generator; see generator_lane_gradients
  std::optional<double> bank_mean_age;   ///< mean rounds since rejuvenation, over the whole bank
  double image_steps_per_second = 0;     ///< all ranks, of the sampling phase; of classify: see there
  Spread seconds_sample, seconds_update, seconds_exchange, seconds_checkpoint;
  /// Further numbers under their own names ("energy_data", "rejuvenated", ...), in this order, after those above.
  std::vector<std::pair<std::string, double>> more;
  /// Counts in bins, under names of their own, after all numbers. Names that end in "_ages" count the slots of age 0,
  /// 1, 2-3, 4-7, 8-15, ... rounds since rejuvenation; bin i of others is whatever their name says.
  std::vector<std::pair<std::string, std::vector<double>>> arrays;
};

}  // namespace langrun
