// Sampling a trained energy, as the commands that want samples ask for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/images.h"
#include "distributed/communicator.h"
#include "jobs/sample_config.h"
#include "jobs/source_config.h"
#include "launch/options.h"

namespace langrun::launch {

/// Samples as asked for on the command line.
struct SampleRequest {
  std::string run;                ///< folder of a run, or a file of weights
  std::string weights = "best";   ///< best (average where kept, else raw), average, raw, or initial
  std::int64_t size = 0;          ///< of TorchScript: side of its images
  std::int64_t at = 0;            ///< checkpoint of this step; 0: the newest good one
  std::string precision = "run";  ///< run: as the run's (of a file: fp32), fp32, tf32, bf16
  std::int64_t count = 64;        ///< images; 0: all that the source has
  std::int64_t steps = -1;        ///< K; -1: the run's evaluation.steps, or its langevin.steps
  double eta = 0;                 ///< 0: the run's
  double temperature = 0;         ///< 0: the run's, or what the file says
  double max_norm = -1;           ///< -1: the run's; of a file: none
  double joint_temperature = 0;   ///< 0: the run's evaluation.joint-temperature, or 1
  std::string source = "run";     ///< run, generator, data, noise, bank, images
  SourceConfig generator;
  std::string view = "sum";        ///< of a hat: sum, generated, residual
  std::int64_t interpolation = 0;  ///< chains from one latent to another; 0: none
  std::string data, bank, images;
  std::string group = "auto";
  bool resize = false;
  std::int64_t seed = 1;
  std::int64_t call = 25;  ///< images a network call; part of the bits
  std::int64_t threads = 1;
  std::string device = "auto";
};

/// energy, weights, at, precision, langevin.eta, .temperature, .max-norm, joint-temperature.
void bind_sampled_energy(OptionTable& table, SampleRequest& request);
/// source, source.*, data, resize.
void bind_sample_source(OptionTable& table, SampleRequest& request);
/// seed, call, threads, device.
void bind_sample_calls(OptionTable& table, SampleRequest& request);

/// What is to be done for a request, whose automatic values (best, 0, -1, run) become those they stand for; steps stays
/// -1 of a file. Collective, all ranks; rank 0 reads run.cfg and picks the checkpoint. Throws Error(input) where the
/// energy is no run and no file of weights, has no good checkpoint, or a bank's snapshot is not there; Error(usage)
/// where an average is asked for that is not kept, a file's step size or temperature is not known, or options of the
/// source do not go with each other.
SampleConfig resolve_samples(Communicator& world, SampleRequest& request);

/// The same for a sampling that goes on: the energy is in `weights_file`, and chains were begun. No collective.
SampleConfig resumed_samples(const SampleRequest& request, const std::filesystem::path& weights_file);

/// resolve_samples for those who need K as well: throws Error(usage) where nobody says it. With K = 0 a hat's residuals
/// are 0, so that its images are the generator's.
SampleConfig configure_samples(Communicator& world, const SampleRequest& request);

}  // namespace langrun::launch
