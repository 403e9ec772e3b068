// The maximal Lyapunov exponent of a noisy Langevin map, by the two-trajectory method: Benettin, Galgani, Giorgilli and
// Strelcyn (Meccanica 15, 1980).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/langevin.h"

namespace langrun {

/// The map T(x) = x - (tau^2 / 2) grad E(x) + eta tau z, and how it is measured.
struct LyapunovConfig {
  double step_size = 1e-2;     ///< tau, the training step size
  double temperature = 1e-4;   ///< T: the gradient that `step` gets is T grad E, with the weight tau^2 / (2 T)
  double eta = 1;              ///< scale of the noise; 1 as in training
  std::vector<double> deltas;  ///< L2 norms of the separation, each a measurement of its own; it decides what is seen
  std::int64_t burn_in = 100;  ///< steps before growth counts: the separation turns where it grows fastest
  std::int64_t steps = 1000;   ///< steps that count
  std::int64_t first = 0;      ///< number of the first chain, for messages
};

/// Langevin steps as run_langevin's, on any device.
using LangevinWalk =
    std::function<at::Tensor(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise)>;

/// Mean over steps of log(|separation after| / |separation before|) per chain and delta, [B, D] float64 row-major. Both
/// trajectories get the same noise; after each step the separation is scaled back to delta. The separation is measured
/// between the float32 numbers that there are, before and after, in float64. x [B, C, H, W] float32 are the starts;
/// the first step's noise is that of noise.first_step. One call of `walk` holds (1 + D) B chains: chain b and its
/// companions, which share an identity. Throws Error(diverged) where a trajectory is not finite or a separation is
/// lost.
std::vector<double> lyapunov_exponents(const LangevinWalk& walk, const at::Tensor& x, const LyapunovConfig& config,
                                       const ChainNoise& noise);

}  // namespace langrun
