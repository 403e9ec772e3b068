// Weights that were trained before: of a run, or of a file.
#pragma once

#include <memory>
#include <string>

#include "core/settings.h"
#include "data/weights_file.h"
#include "distributed/communicator.h"
#include "jobs/passed_over.h"

namespace langrun {

class Energy;

/// The file that `name` stands for: of a run folder the weights of its newest good checkpoint, else the file itself.
/// `what`: "generator", for messages. Rank 0 looks, and tells `passed_over` of newer checkpoints that are damaged;
/// collective, all ranks. With `may_be_missing` an empty text where there is nothing; else throws Error(input).
std::string find_weights(Communicator& world, const std::string& name, const std::string& what, bool may_be_missing,
                         const PassedOver& passed_over);

/// Of the parts `part` and `part`_average of a file, the one that `weights` asks for: best (the average where it is
/// kept), average or raw.
std::string chosen_part(const WeightsFile& file, const std::string& part, const std::string& weights);

/// An energy as a file has it.
struct TrainedEnergy {
  EnergyConfig config;
  std::shared_ptr<Energy> network;  ///< in host memory
  double temperature = 0;           ///< T that its chains were trained with; 0: the file does not say
  double tau = 0;                   ///< of their Gaussian term; 0: none
};

/// Reads one of `part`. Throws Error(input) where the file lacks it or a tensor of it.
TrainedEnergy read_energy(const WeightsFile& file, const std::string& part);

}  // namespace langrun
