// Convergent learning: an energy on chains that begin once, from uniform noise, one for each training image [SS, Alg.
// 2].
#pragma once

#include <memory>

#include "jobs/energy_training.h"

namespace langrun {

/// Settings of convergent learning, from the command line or run.cfg.
struct ConvergentConfig : EnergyTrainingConfig {
  std::int64_t bank_size = 0;  ///< slots, over all lanes; 0: one for each training image
  std::int64_t sgd_from = 0;   ///< steps after which plain SGD takes over from Adam; 0: Adam throughout
  double sgd_rate = 5e-5;      ///< of SGD, on mean U(x+) - mean U(x-), so without the loss's 1/T
};

/// Builds the job on this rank. Collective, all ranks. Throws Error(usage) where settings do not fit each other,
/// Error(input) where the store is missing or of another size. Touches nothing on disk.
std::unique_ptr<TrainingJob> make_convergent(const ConvergentConfig& config, Communicator& world);

}  // namespace langrun
