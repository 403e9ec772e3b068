// Generators: networks that turn a latent into an image in [-1, 1].
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
#include "core/networks/names.h"
#include "core/settings.h"

namespace langrun {

/// What the batch-norm layers of a generator do in one call.
enum class BatchNormUse {
  off,      ///< mean 0, variance 1: learnt scale and shift only (scale / sqrt(1 + eps), as the papers' program)
  lane,     ///< statistics of the call's own samples, which are one lane's
  running,  ///< the running statistics
};

/// Batch norm whose running statistics move only when told to, from statistics averaged over all lanes (design
/// invariant 1). eps 1e-3, momentum 0.01 in PyTorch's sense. Parameters weight, bias; buffers running_mean,
/// running_var.
class LaneBatchNorm : public torch::nn::Module {
 public:
  explicit LaneBatchNorm(std::int64_t channels);
  /// x [B, channels, H, W]. With `lane`, a call under autograd (the generator's phase) records lane_mean and
  /// lane_variance; a call without (rejuvenation, under at::NoGradGuard) normalises in the same way and records
  /// nothing.
  at::Tensor forward(const at::Tensor& x, BatchNormUse use);
  /// Mean and unbiased variance [channels] of the last recorded `lane` call (undefined before the first); the trainer
  /// averages them over lanes in tree order. Each call records into new tensors: a copy of the handle stays valid.
  at::Tensor lane_mean, lane_variance;
  /// running <- (1 - 0.01) running + 0.01 given. Called once a step with the lanes' average.
  void move_running(const at::Tensor& mean, const at::Tensor& variance);
  at::Tensor weight, bias, running_mean, running_variance;  ///< [channels]; the last two are buffers
};

class Generator : public torch::nn::Module {
 public:
  virtual std::int64_t latent_length() const = 0;
  virtual ImageShape output() const = 0;
  /// z [B, nz] float32 to images [B, C, H, W] float32 in [-1, 1], in channels-last memory.
  virtual at::Tensor generate(const at::Tensor& z, BatchNormUse use) = 0;
  /// The batch-norm layers, in the order of the network.
  virtual std::vector<std::shared_ptr<LaneBatchNorm>> batch_norms() const = 0;
};

/// A new generator: Glorot-uniform kernels, zero biases, drawn from `seed`. Throws Error(usage) for an unknown name,
/// and for a width or latent length that cannot be.
std::shared_ptr<Generator> make_generator(const GeneratorConfig& config, std::uint64_t seed);

}  // namespace langrun
