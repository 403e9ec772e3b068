// What a run.cfg says of a run's chains, whichever job wrote it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/settings.h"
#include "jobs/hat_config.h"
#include "jobs/sample_start.h"
#include "jobs/source_config.h"

namespace langrun::launch {

struct TrainedRun {
  std::string job = "shortrun";  ///< of runs that do not say theirs
  std::string data, precision = "fp32";
  std::int64_t seed = 1, evaluation_steps = 0;
  double joint_temperature = 1;
  bool prior_training = false;  ///< a midrun with --prior
  std::string prior;            ///< of a longrun
  double tau = 0;               ///< as run.cfg has it; `felt_tau` says whether chains felt it
  EnergyConfig energy;
  LangevinConfig langevin;
  // Of a shortrun.
  std::string init = "coop-persistent", batch_norm = "lane";
  GeneratorConfig generator;
  // Of the others.
  SourceConfig source;
  std::optional<HatConfig> hat;  ///< of a hat, all that its run.cfg says
};

/// tau of the Gaussian term that the run's chains felt; 0: none.
double felt_tau(const TrainedRun& run);

/// Reads the text of a run.cfg; `where` names it. Throws Error(input) for a job that is not known, Error(usage) for
/// a damaged text.
TrainedRun read_trained_run(const std::string& text, const std::string& where);

/// The step of the checkpoint that is asked for: `at`, or 0 for the newest good one, with a warning of newer ones that
/// are damaged. Rank 0 alone. Throws Error(input) where there is none, or it is damaged.
std::int64_t checkpoint_step(const std::string& run, std::int64_t at);
/// RUN/checkpoint/NNNNNNNN
std::filesystem::path checkpoint_folder(const std::string& run, std::int64_t step);

/// Where the run's own chains begin: `weights` (average, raw or initial) of the file `weights_file`. Throws
/// Error(usage) for initial weights of a run whose generator was trained before it began.
SampleStartConfig own_start(const TrainedRun& run, const std::string& weights, const std::string& weights_file);

}  // namespace langrun::launch
