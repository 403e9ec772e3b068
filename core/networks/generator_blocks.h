// What the generators are made of. Their weights are left unset: initialise.h draws them.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/networks/batch_norm.h"
#include "core/networks/blocks.h"

namespace langrun {

/// What a residual block of a generator does.
struct GeneratorBlockShape {
  std::int64_t in = 0, out = 0;
  bool up = true;     ///< bilinear doubling
  bool stem = false;  ///< the first block of a decoder: begins with its convolution
};

/// up(i -> o) of networks.md: BN, ReLU, bilinear x2, conv3x3, BN, ReLU, conv3x3; shortcut bilinear x2, conv1x1. Without
/// doubling and with as many channels out as in, the shortcut is the identity, as in the energies' blocks. Parameters
/// bn1 (not in a stem), conv1, bn2, conv2, shortcut (where it is no identity).
class GeneratorBlock : public torch::nn::Module {
 public:
  explicit GeneratorBlock(const GeneratorBlockShape& shape);
  /// x [B, in, H, W] to [B, out, H, W], twice that height and width with `up`.
  at::Tensor forward(const at::Tensor& x, BatchNormUse use) const;
  /// Its batch-norm layers, in order.
  std::vector<std::shared_ptr<LaneBatchNorm>> batch_norms() const;

 private:
  GeneratorBlockShape shape_;
  std::shared_ptr<LaneBatchNorm> bn1_, bn2_;
  std::shared_ptr<Conv> conv1_, conv2_, shortcut_;
};

/// The end of every generator: BN, ReLU, conv3x3 to 3 channels, tanh times a factor.
class GeneratorEnd {
 public:
  /// Registers `bn` and `conv` with `owner`.
  GeneratorEnd(torch::nn::Module& owner, std::int64_t channels, double factor);
  at::Tensor forward(const at::Tensor& x, BatchNormUse use) const;
  const std::shared_ptr<LaneBatchNorm>& batch_norm() const { return bn_; }

 private:
  double factor_;
  std::shared_ptr<LaneBatchNorm> bn_;
  std::shared_ptr<Conv> conv_;
};

}  // namespace langrun
