#include "jobs/midrun.h"

#include <fmt/format.h>

#include "core/error.h"
#include "jobs/frozen_generator.h"
#include "jobs/persistent_training.h"

namespace langrun {

double rejuvenation_probability(const MidrunConfig& config) {
  if (config.defense_steps == 0) return config.rejuvenation;
  if (config.rejuvenation > 0)
    throw Error(ExitCode::usage, "both --bank.rejuvenation and --bank.defense-steps say how often chains begin anew",
                "give one of them; --bank.rejuvenation 0 leaves it to --bank.defense-steps");
  if (config.defense_steps < config.langevin.steps)
    throw Error(ExitCode::usage,
                fmt::format("--bank.defense-steps {} is less than the {} Langevin steps of one training step",
                            config.defense_steps, config.langevin.steps),
                "p = K / K_def must not be above 1");
  return static_cast<double>(config.langevin.steps) / static_cast<double>(config.defense_steps);
}

std::unique_ptr<TrainingJob> make_midrun(const MidrunConfig& config, Communicator& world) {
  const RejuvenationRule rule{rejuvenation_probability(config), 0};
  // Before anything that one rank alone could fail at: looking for it is a collective.
  auto generator = frozen_source(config.source, config.training.from_checkpoint, world);
  EnergyTrainingConfig training = config;
  training.terms.tau = config.prior ? config.tau : 0;
  return std::make_unique<PersistentTraining>(
      training, config.bank_size, rule, world, [&](EnergyPhases& phases) -> std::unique_ptr<ChainSource> {
        if (!generator) return std::make_unique<DataSource>(phases.data());
        generator->open(phases.energy().image(), phases.lane_batch(), phases.device());
        return std::move(generator);
      });
}

}  // namespace langrun
