#include "jobs/convergent.h"

#include "core/error.h"
#include "jobs/persistent_training.h"

namespace langrun {

std::unique_ptr<TrainingJob> make_convergent(const ConvergentConfig& config, Communicator& world) {
  EnergyTrainingConfig training = config;
  if (config.sgd_from > 0 && config.energy_learning.optimizer.kind != "adam")
    throw Error(ExitCode::usage, "--sgd.from switches from Adam to SGD, but --energy.optimizer is sgd already",
                "leave out one of the two");
  training.energy_learning.sgd_from = config.sgd_from;
  // The loss that the optimiser sees is divided by T; the published rate is of the loss that is not.
  training.energy_learning.sgd_rate = config.sgd_rate * config.langevin.temperature;
  return std::make_unique<PersistentTraining>(training, config.bank_size, RejuvenationRule{0, 0}, world,
                                              [](EnergyPhases& phases) -> std::unique_ptr<ChainSource> {
                                                return std::make_unique<UniformSource>(phases.energy().image());
                                              });
}

}  // namespace langrun
