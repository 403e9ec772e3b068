// Langevin on latents: which latents a generator could have made given images from (cooperative learning's inference).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/networks/generator.h"
#include "core/noise.h"
#include "core/settings.h"

namespace langrun {

/// config.steps times, for every sample,
///   z <- z - (eps^2 / 2) (z + grad_z ||g(z) - x||^2 / (2 sigma^2)) + eps v,   v ~ N(0, I),
/// Langevin on -log p(z | x) of the model x = g(z) + sigma e. latents [b, nz], images [b, C, H, W] float32 on the
/// generator's device; returns latents there. Noise of sample i in step k stands at (identities[i], k). With
/// BatchNormUse::lane samples see each other's statistics, as in the generator's update.
at::Tensor infer_latents(Generator& generator, const at::Tensor& latents, const at::Tensor& images,
                         const InferenceConfig& config, BatchNormUse use, NoiseKey key,
                         const std::vector<std::uint64_t>& identities);

}  // namespace langrun
