// Midrun learning: an energy on a persistent bank with in-distribution rejuvenation [LC, Alg. 3].
#pragma once

#include <memory>

#include "jobs/energy_training.h"
#include "jobs/source_config.h"

namespace langrun {

/// Settings of a midrun, from the command line or run.cfg.
struct MidrunConfig : EnergyTrainingConfig {
  SourceConfig source;
  std::int64_t bank_size = 10000;  ///< slots, over all lanes
  double rejuvenation = 0;         ///< p; 0: from defense_steps, or never
  bool prior = false;              ///< trains the prior of a longrun: chains feel the Gaussian term too
  double tau = 0.15;               ///< of that term, pixel range [-1, 1]
  std::int64_t defense_steps = 0;  ///< K_def, by which p = K / K_def; 0: p is given
};

/// p of a configuration. Throws Error(usage) where both p and K_def are given, or K_def < K.
double rejuvenation_probability(const MidrunConfig& config);

/// Builds the job on this rank. Collective, all ranks. Throws Error(usage) where settings do not fit each other,
/// Error(input) where store or generator are missing or of another size. Touches nothing on disk.
std::unique_ptr<TrainingJob> make_midrun(const MidrunConfig& config, Communicator& world);

}  // namespace langrun
