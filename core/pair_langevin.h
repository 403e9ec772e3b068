// Langevin on pairs: a latent Z and a residual Y, whose image is X = G(Z) + Y [HAT].
//   E(Y, Z) = H(G(Z) + Y) / T  [+ ||Y||^2 / (2 tau^2)]  [+ ||Z||^2 / 2]
//   Z <- Z - (eps_2^2 / 2) grad_Z E(Y, Z) + eps_2 v,     v ~ N(0, I)
//   Y <- Y - (eps_1^2 / 2) grad_Y E(Y, Z) + eps_1 w,     w ~ N(0, I), at the latent just moved
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/langevin.h"
#include "core/settings.h"

namespace langrun {

/// Pairs of a call, and the images that their latents stand for.
struct Pairs {
  at::Tensor latents;    ///< [b, nz] float32
  at::Tensor residuals;  ///< [b, C, H, W] float32
  at::Tensor generated;  ///< [b, C, H, W] float32, G(latents)

  /// X = G(Z) + Y.
  at::Tensor images() const;
};

/// Whose noise the pairs get: number i of sample b in step k is number i at (identities[b], first_step + k), of the
/// latent under one key and of the residual under another.
struct PairNoise {
  NoiseKey latent{}, residual{};
  std::vector<std::uint64_t> identities;  ///< one per sample
  std::uint32_t first_step = 0;
};

/// What a call saw, per sample; undefined tensors where K = 0 or where that part stood still.
struct PairRecord {
  at::Tensor residual_magnitude;  ///< [b] mean over steps of (eps_1^2/2) ||grad_Y E||_2, before clipping
  at::Tensor latent_magnitude;    ///< [b] mean over steps of (eps_2^2/2) ||grad_Z E||_2
  at::Tensor first_energy;        ///< [b] H at the start of the first step
};

/// A generator that autograd can go through: latents [b, nz] to images [b, C, H, W].
using ImageFunction = std::function<at::Tensor(const at::Tensor& latents)>;

/// Runs `config.steps` steps from `start.latents` and `start.residuals` (start.generated is not read; nothing of it is
/// changed). `energy` gives H and its gradient; its tensors may be written over by the next call. Clipping is of each
/// sample's whole gradient in Y. A sample's path depends on its own start and identity and on the call's shape, as far
/// as `energy` and `images` keep samples apart. On a GPU step by step, latents moved on the host.
Pairs run_pairs(const GradientFunction& energy, const ImageFunction& images, const Pairs& start,
                const PairConfig& config, const PairNoise& noise, PairRecord* record = nullptr);

}  // namespace langrun
