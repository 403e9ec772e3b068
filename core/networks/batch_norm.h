// Batch norm as lanes train it: statistics of a lane's own samples, running ones that move once a step.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>

namespace langrun {

/// What batch-norm layers do in one call.
enum class BatchNormUse {
  off,      ///< mean 0, variance 1: learnt scale and shift only (scale / sqrt(1 + eps), as the papers' program)
  lane,     ///< statistics of the call's own samples, which are one lane's
  running,  ///< the running statistics
};

/// The two numbers that differ between networks; those of the papers' generators.
struct BatchNormShape {
  double epsilon = 1e-3;
  double momentum = 0.01;  ///< in PyTorch's sense: the weight of what is new
};

/// Batch norm whose running statistics move only when told to, from statistics averaged over all lanes (design
/// invariant 1). Parameters weight, bias; buffers running_mean, running_var.
class LaneBatchNorm : public torch::nn::Module {
 public:
  explicit LaneBatchNorm(std::int64_t channels, const BatchNormShape& shape = {});
  /// x [B, channels, H, W]. With `lane`, a call under autograd (the learning phase) records lane_mean and
  /// lane_variance; a call without (rejuvenation, under at::NoGradGuard) normalises in the same way and records
  /// nothing.
  at::Tensor forward(const at::Tensor& x, BatchNormUse use);
  /// Mean and unbiased variance [channels] of the last recorded `lane` call (undefined before the first); the trainer
  /// averages them over lanes in tree order. Each call records into new tensors: a copy of the handle stays valid.
  at::Tensor lane_mean, lane_variance;
  /// running <- (1 - momentum) running + momentum given. Called once a step with the lanes' average.
  void move_running(const at::Tensor& mean, const at::Tensor& variance);
  at::Tensor weight, bias, running_mean, running_variance;  ///< [channels]; the last two are buffers

 private:
  at::Tensor normalised(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& variance) const;
  BatchNormShape shape_;
};

}  // namespace langrun
