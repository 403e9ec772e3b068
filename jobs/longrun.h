// Longrun learning: chains age in a burn-in bank and are then learned from in an update bank [LC, Alg. 4].
#pragma once

#include <memory>

#include "jobs/energy_training.h"
#include "jobs/source_config.h"

namespace langrun {

/// Settings of a longrun, from the command line or run.cfg.
struct LongrunConfig : EnergyTrainingConfig {
  SourceConfig source;
  std::int64_t update_size = 10000;   ///< slots of the update bank, over all lanes
  std::int64_t burn_in_size = 1000;   ///< of the burn-in bank
  std::int64_t burn_in_rounds = 750;  ///< D: rounds of K steps after which a chain retires into the update bank
};

/// Builds the job on this rank. Collective, all ranks. Throws Error(usage) where settings do not fit each other,
/// Error(input) where store, generator or prior are missing or do not fit. Touches nothing on disk.
std::unique_ptr<TrainingJob> make_longrun(const LongrunConfig& config, Communicator& world);

}  // namespace langrun
