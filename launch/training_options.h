// The options that all training jobs share, bound to their typed fields.
#pragma once

#include <string>
#include <vector>

#include "jobs/energy_training.h"
#include "jobs/source_config.h"
#include "launch/options.h"

namespace langrun::launch {

/// job (the command these options are of), run, data, seed, steps, batch, lanes, device, ..., checkpoint.*, pictures.*,
/// watchdog.*.
void bind_training(OptionTable& table, const std::string& job, TrainingConfig& config);
/// What jobs that train an energy on chains share: bind_training, the energy and its learning, langevin.*, data.noise,
/// evaluation.steps.
void bind_energy_training(OptionTable& table, const std::string& job, EnergyTrainingConfig& config);
/// source.generator, .weights, .latent, .range.
void bind_source(OptionTable& table, SourceConfig& config);
/// langevin.tau, of the Gaussian term.
void bind_tau(OptionTable& table, double& tau, const std::string& help);
/// langevin.steps, .eta, .temperature, .max-norm (of chains).
void bind_langevin(OptionTable& table, LangevinConfig& config);
/// SECTION.learning-rate, .drops, .average, .max-gradient, .optimizer, .beta1, ...
void bind_learning(OptionTable& table, const std::string& section, LearningConfig& config);
/// energy.network, .width, ...
void bind_energy(OptionTable& table, EnergyConfig& config);
/// generator.network, .width, .latent.
void bind_generator(OptionTable& table, GeneratorConfig& config);

}  // namespace langrun::launch
