// The Langevin sampler: one loop for training chains, evaluation and attacks.
//   x <- x - (eta^2 / 2) grad U(x) / T + eta z,   z ~ N(0, I)
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "core/networks/energy.h"
#include "core/noise.h"
#include "core/settings.h"

namespace langrun {

/// Which noise a call's chains get: number i of sample b in step k is number i at (identities[b], s + k), where s is
/// first_steps[b], or first_step where that list is empty.
struct ChainNoise {
  NoiseKey key{};
  std::vector<std::uint64_t> identities;  ///< one per sample
  std::uint32_t first_step = 0;
  std::vector<std::uint32_t> first_steps{};  ///< none, or one per sample: chains of different ages side by side
  std::uint32_t end_step = std::numeric_limits<std::uint32_t>::max();  ///< a sample stays where it is from there on

  std::uint32_t first_of(std::size_t sample) const { return first_steps.empty() ? first_step : first_steps[sample]; }
};

/// What a call of the sampler saw, per sample and averaged over its K steps.
struct LangevinRecord {
  at::Tensor gradient_magnitude;  ///< [B] float32, mean over steps of (eta^2/2) ||grad U / T||_2
  at::Tensor first_energy;        ///< [B] float32, U at the start of the first step
  at::Tensor last_energy;         ///< [B] float32, U at the start of the last step of the sample
};

/// A call's chains and what was seen of them.
struct SampledChains {
  at::Tensor chains;      ///< [B, C, H, W] float32 channels-last, where they were sampled
  at::Tensor host;        ///< the same in host memory; `chains` itself on CPUs
  LangevinRecord record;  ///< undefined tensors where K = 0
};

/// Energies and gradients of a batch; what is sampled from. The tensors may be written over by the next call.
using GradientFunction = std::function<EnergyGradient(const at::Tensor& x)>;

/// Runs `config.steps` steps on x [B, C, H, W] float32 (any memory format) and returns the chains, channels-last; x is
/// not changed. No clamping. On a GPU step by step, waited for: ChainSampler has the fast way. A sample's path depends
/// on its own start, identity and the call's shape alone.
at::Tensor run_langevin(const GradientFunction& gradient, const at::Tensor& x, const LangevinConfig& config,
                        const ChainNoise& noise, LangevinRecord* record = nullptr);

}  // namespace langrun
