// Shortrun learning: an energy and a generator trained together on persistent chains [LC, Alg. 1], and the ablations
// that start chains elsewhere.
#pragma once

#include <memory>
#include <string>

#include "core/settings.h"
#include "jobs/training.h"

namespace langrun {

/// Where chains begin.
enum class ChainStart {
  coop_persistent,  ///< bank of (latent, image) pairs, rejuvenated from the generator: the hybrid
  persistent,       ///< bank of images, rejuvenated from uniform noise
  coop,             ///< the generator's images, every step (p = 1, no bank)
  data,             ///< data images, every step
  data_persistent,  ///< bank of images, begun and rejuvenated from data
  noise,            ///< uniform noise, every step
};
/// From "coop-persistent", ...; throws Error(usage) for another word.
ChainStart chain_start(const std::string& name);
bool uses_generator(ChainStart start);
bool uses_bank(ChainStart start);

/// How one of the two networks learns.
struct LearningConfig {
  OptimizerConfig optimizer;
  double learning_rate = 1e-4;
  std::string drops;        ///< "50000:1e-5,75000:1e-6"
  double average = 0.9999;  ///< decay of the weights' moving average; 0: none is kept
  double max_norm = 0;      ///< per-tensor gradient clip; 0: none
};

struct ShortrunConfig {
  TrainingConfig training;
  std::string init = "coop-persistent";
  EnergyConfig energy;
  LearningConfig energy_learning;
  GeneratorConfig generator;
  LearningConfig generator_learning;
  std::string batch_norm = "lane";  ///< generator's batch norm in training: "lane" or "off"
  LangevinConfig langevin;
  double data_noise = 1e-2;
  std::int64_t bank_size = 10000;
  RejuvenationRule rejuvenation;
  std::int64_t evaluation_steps = 0;  ///< Langevin steps of pictures and samples; 0: as in training
};

/// Builds the job on this rank: networks, banks' place, data. Throws Error(usage) where settings do not fit each other
/// (batch, lanes and ranks; bank and batch; networks), Error(input) where the store is missing or of another size.
/// Touches nothing on disk.
std::unique_ptr<TrainingJob> make_shortrun(const ShortrunConfig& config, Communicator& world);

}  // namespace langrun
