// The settings of every job that trains an energy on chains.
#pragma once

#include "core/settings.h"
#include "jobs/training.h"

namespace langrun {

/// Settings that all these jobs share, from the command line or run.cfg.
struct EnergyTrainingConfig {
  TrainingConfig training;
  EnergyConfig energy;
  LearningConfig energy_learning;
  LangevinConfig langevin;
  double data_noise = 1e-2;           ///< standard deviation, pixel range [-1, 1]
  std::int64_t evaluation_steps = 0;  ///< Langevin steps of pictures and samples; 0: as in training
};

}  // namespace langrun
