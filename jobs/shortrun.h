// Shortrun learning: an energy and a generator trained together on persistent chains [LC, Alg. 1], and the ablations
// that start chains elsewhere.
#pragma once

#include <memory>
#include <string>

#include "jobs/energy_training.h"

namespace langrun {

/// Settings of a shortrun, from the command line or run.cfg.
struct ShortrunConfig : EnergyTrainingConfig {
  std::string init = "coop-persistent";  ///< a ChainStart, by name
  GeneratorConfig generator;
  LearningConfig generator_learning;
  std::string batch_norm = "lane";  ///< generator's batch norm in training: "lane" or "off"
  std::int64_t bank_size = 10000;   ///< slots, over all lanes
  RejuvenationRule rejuvenation;
  InferenceConfig inference;  ///< with coop-inference
};

/// Builds the job on this rank: networks, banks' place, data. Throws Error(usage) where settings do not fit each other
/// (batch, lanes and ranks; bank and batch; networks), Error(input) where the store is missing or of another size.
/// Touches nothing on disk. Collective, all ranks.
std::unique_ptr<TrainingJob> make_shortrun(const ShortrunConfig& config, Communicator& world);

}  // namespace langrun
