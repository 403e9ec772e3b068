// The settings of every job that trains an energy on chains.
#pragma once

#include "core/settings.h"
#include "jobs/passed_over.h"
#include "jobs/training.h"

namespace langrun {

/// What chains feel beside the energy that learns [LC, Alg. 4]; not part of its loss.
struct TermsConfig {
  double tau = 0;                      ///< of the Gaussian ||x||^2 / (2 tau^2), pixel range [-1, 1]; 0: none
  std::string prior;                   ///< frozen energy: a run folder or a file of weights; empty: none
  std::string prior_weights = "best";  ///< of it: best (average where kept), average or raw
  double prior_temperature = 0;        ///< T_prior; 0: the one that it was trained with
  double joint_temperature = 1;        ///< of pictures and samples alone: divides U/T + U_prior/T_prior
};

/// Settings that all these jobs share, from the command line or run.cfg.
struct EnergyTrainingConfig {
  TrainingConfig training;
  EnergyConfig energy;
  std::string energy_start;  ///< run or file of weights that training begins from; empty: drawn from the seed
  LearningConfig energy_learning;
  LangevinConfig langevin;
  TermsConfig terms;
  EnergyLoss loss = EnergyLoss::likelihood;  ///< no option: which jobs, in which modes, learn otherwise
  double data_noise = 1e-2;           ///< standard deviation, pixel range [-1, 1]
  std::int64_t evaluation_steps = 0;  ///< Langevin steps of pictures and samples; 0: as in training
  PassedOver passed_over{};           ///< no option: who is told of damaged checkpoints of energy_start or the prior
};

}  // namespace langrun
