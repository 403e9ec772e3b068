// The settings of sampling: which energy, where chains begin, how they walk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/settings.h"
#include "jobs/hat_config.h"
#include "jobs/source_config.h"

namespace langrun {

struct SampledEnergyConfig {
  std::filesystem::path file;       ///< of weights (HDF5); empty: untrained
  std::string part = "energy";      ///< energy or energy_average
  std::int64_t size = 0;            ///< of TorchScript: side of its images
  EnergyConfig untrained;           ///< without a file: the network
  std::int64_t untrained_seed = 1;  ///< and the seed of its weights
  double untrained_tau = 0;         ///< and of the Gaussian term, 0: none
  std::string precision = "fp32";   ///< fp32, tf32, bf16
  double temperature = 1;           ///< T of the network's U / T
  double joint_temperature = 1;     ///< divides U / T + U_prior / T_prior, not the Gaussian term
};

enum class SampleStartKind {
  noise,       ///< uniform
  generator,   ///< a frozen one
  checkpoint,  ///< the frozen one that a run began its chains with, as its checkpoint keeps it
  untrained,   ///< a generator with the weights that a run begins with
  drawn,       ///< a store's images drawn at random, with replacement: as runs from data begin
  data,        ///< a store's images, each once
  bank,        ///< the chains of a bank's snapshot
  images,      ///< a folder of images, or a store in its own order
};

struct SampleStartConfig {
  SampleStartKind kind = SampleStartKind::noise;
  SourceConfig generator;     ///< generator and checkpoint
  GeneratorConfig untrained;  ///< untrained, with
  bool batch_norm = true;     ///< whether its batch norm is on, and
  std::int64_t weights_seed = 1;
  std::filesystem::path
      path;  ///< checkpoint: its weights.h5; drawn, data: the store; bank: a checkpoint's folder; images
  std::string group = "auto";  ///< bank
  bool resize = false;         ///< images
  std::int64_t interpolation = 0;  ///< of a generator: chains from one latent to another, both ends included; 0: none
  std::int64_t seed = 1;       ///< data: of the order
};

/// What of a pair is shown.
enum class PairView {
  sum,        ///< G(Z) + Y
  generated,  ///< G(Z)
  residual,   ///< Y, four times as large
};

/// Chains of any source under any trained energy.
struct SampleConfig {
  SampledEnergyConfig energy;
  SampleStartConfig start;
  /// Chains are pairs of a hat energy: their latents are the source's, steps, eta and clip those of `langevin`.
  std::optional<HatChainConfig> hat;
  PairView view = PairView::sum;    ///< of a hat's chains
  LangevinConfig langevin;  ///< of these samples; its temperature is the energy's, and not used
  std::int64_t count = 64;  ///< chains; 0: all that the source has
  std::int64_t seed = 1;
  std::int64_t call = 25;    ///< chains a call; its shape is part of the bits
  std::int64_t threads = 1;  ///< per rank
  std::string device = "auto";
  // For a person: what `energy` is.
  std::string weights = "average";   ///< average, raw, or initial (untrained)
  std::filesystem::path checkpoint;  ///< folder that the energy is of, or the file itself
  std::string source;                ///< "bank of DIR"; empty: as the run's own chains begin
};

}  // namespace langrun
