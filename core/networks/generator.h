// Generators: networks that turn a latent into an image in [-1, 1], or in [-factor, factor].
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
#include "core/networks/batch_norm.h"
#include "core/networks/names.h"
#include "core/settings.h"

namespace langrun {

class Generator : public torch::nn::Module {
 public:
  virtual std::int64_t latent_length() const = 0;
  virtual ImageShape output() const = 0;
  /// z [B, nz] float32 to images [B, C, H, W] float32 in [-factor, factor], in channels-last memory.
  virtual at::Tensor generate(const at::Tensor& z, BatchNormUse use) = 0;
  /// The batch-norm layers, in the order of the network.
  virtual std::vector<std::shared_ptr<LaneBatchNorm>> batch_norms() const = 0;
};

/// Throws Error(input) unless z is [B, length].
void check_latents(const at::Tensor& z, std::int64_t length);

/// A new generator: Glorot-uniform kernels, zero biases, drawn from `seed`. Throws Error(usage) for an unknown name,
/// and for a width or latent length that cannot be.
std::shared_ptr<Generator> make_generator(const GeneratorConfig& config, std::uint64_t seed);

}  // namespace langrun
