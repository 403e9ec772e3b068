// Lyapunov exponents of a trained energy's Langevin map over noise scales and separations [SS, 2.10].
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/mean_interval.h"
#include "distributed/communicator.h"
#include "jobs/sample_config.h"

namespace langrun {

struct LyapunovSettings {
  /// Energy, source and number of chains; langevin.eta is tau, the training step size, and its steps are not used.
  SampleConfig chains;
  std::vector<double> etas;    ///< scales of the noise
  std::vector<double> deltas;  ///< separations
  std::int64_t burn_in = 100, steps = 1000;
};

struct LyapunovResult {
  std::int64_t chains = 0;
  std::vector<double> exponents;        ///< [etas, deltas, chains]
  std::vector<MeanInterval> intervals;  ///< [etas, deltas], over chains
};

/// Measures done of all; called on rank 0 now and then.
using LyapunovProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// Collective, all ranks. A piece of work is a block of `call` chains at one eta, with all separations in one call of
/// the network; pieces go to ranks in turn, which meet after every few steps. The same bits on any number of ranks. All
/// etas share starts and noise. Throws as ChainBlocks and lyapunov_exponents.
LyapunovResult measure_lyapunov(const LyapunovSettings& settings, Communicator& world,
                                const LyapunovProgress& progress);

}  // namespace langrun
