// Chains of a hat energy: pairs of latents and residuals, begun and walked, for training, pictures and samples.
#pragma once

#include <cstdint>
#include <vector>

#include "core/pair_langevin.h"
#include "core/chain_sampler.h"
#include "jobs/hat_config.h"
#include "jobs/run_keys.h"

namespace langrun {

/// Latents of p0 for places [b] in a step: N(0, I), or that put on the sphere. [b, nz].
at::Tensor hat_latents(const HatChainConfig& config, const std::vector<std::uint64_t>& places, std::int64_t step,
                       NoiseKey key, std::int64_t length);

/// Pairs before their first step: the latents given, residuals N(0, residual_start^2) by (key, place). `images` makes
/// G(latents), which says the device and shape.
Pairs begin_pairs(const HatChainConfig& config, const at::Tensor& latents, const ImageFunction& images,
                  const std::vector<std::uint64_t>& places, NoiseKey key);

/// `steps` further steps under the sampler's energy: those of run_pairs, or where chains are plain those of the
/// sampler itself.
Pairs walk_pairs(ChainSampler& sampler, const ImageFunction& images, const Pairs& from, const HatChainConfig& config,
                 std::int64_t steps, const PairNoise& noise, PairRecord* record = nullptr);

/// Root of the mean square of each residual, pixel range [-1, 1]: [b].
at::Tensor residual_size(const at::Tensor& residuals);

}  // namespace langrun
