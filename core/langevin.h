// The Langevin sampler: one loop for training chains, evaluation and attacks.
//   x <- x - (eta^2 / 2) grad U(x) / T + eta z,   z ~ N(0, I)
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/networks/energy.h"
#include "core/noise.h"

namespace langrun {

struct LangevinConfig {
  std::int64_t steps = 100;     ///< K
  double eta = 1e-2;            ///< step size; the noise is eta z
  double temperature = 1e-4;    ///< T, divides the energy inside the gradient alone
  double max_norm = 0;          ///< per-sample clip: ||grad U / T|| stays under max_norm / (eta^2 / 2); 0: none

  /// Weight of grad U in the update, eta^2 / (2 T).
  double gradient_weight() const { return eta * eta / (2 * temperature); }
};

/// Which noise a call's chains get: number i of sample b in step k is number i at (identities[b], first_step + k).
struct ChainNoise {
  NoiseKey key{};
  std::vector<std::uint64_t> identities;  ///< one per sample
  std::uint32_t first_step = 0;
};

/// What a call of the sampler saw, per sample and averaged over its K steps.
struct LangevinRecord {
  at::Tensor gradient_magnitude;  ///< [B] float32, mean over steps of (eta^2/2) ||grad U / T||_2
  at::Tensor first_energy;        ///< [B] float32, U at the start of the first step
  at::Tensor last_energy;         ///< [B] float32, U at the start of the last step
};

/// Energies and gradients of a batch; what is sampled from.
using GradientFunction = std::function<EnergyGradient(const at::Tensor& x)>;

/// Runs `config.steps` steps on x [B, C, H, W] float32 (any memory format) and returns the chains, channels-last; x is
/// not changed. No clamping. A sample's path depends on its own start, identity and the call's shape alone.
at::Tensor run_langevin(const GradientFunction& gradient, const at::Tensor& x, const LangevinConfig& config,
                        const ChainNoise& noise, LangevinRecord* record = nullptr);

}  // namespace langrun
