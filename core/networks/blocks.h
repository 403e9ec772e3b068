// The pieces that the networks are made of. Their weights are left unset: initialise.h draws them.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>

#include "core/networks/activation.h"

namespace langrun {

/// Measures of one convolution (square kernels).
struct ConvShape {
  std::int64_t in = 0, out = 0, kernel = 1, stride = 1, padding = 0;
  bool bias = true;
  bool spectral_norm = false;  ///< the weight divided by its largest singular value (see spectral_scale)
};

/// A convolution; parameters `weight` [out, in, kernel, kernel] and `bias` [out].
class Conv : public torch::nn::Module {
 public:
  explicit Conv(const ConvShape& shape);
  /// x [B, in, H, W] to [B, out, H', W'].
  at::Tensor forward(const at::Tensor& x) const;
  /// The weight that forward uses: `weight`, spectrally normalised where asked.
  at::Tensor effective_weight() const;
  const ConvShape& shape() const { return shape_; }

  at::Tensor weight, bias;  ///< bias is undefined where the shape says none

 private:
  ConvShape shape_;
};

/// A linear layer; parameters `weight` [out, in] and `bias` [out].
class Linear : public torch::nn::Module {
 public:
  Linear(std::int64_t in, std::int64_t out, bool with_bias, bool spectral_norm = false);
  at::Tensor forward(const at::Tensor& x) const;
  at::Tensor effective_weight() const;

  at::Tensor weight, bias;

 private:
  bool spectral_norm_;
};

/// What a residual block of an energy does.
struct ResBlockShape {
  std::int64_t in = 0, out = 0;
  bool pool = false;  ///< ends in 2x2 average pooling
  bool stem = false;  ///< the first block: no leading ReLU, and its shortcut pools before its 1x1 convolution
};

/// SNGAN's residual block (networks.md, res and stem); parameters conv1, conv2 and, where shapes differ, shortcut.
class ResBlock : public torch::nn::Module {
 public:
  explicit ResBlock(const ResBlockShape& shape);
  /// x [B, in, H, W] to [B, out, H, W], or half that height and width with pool.
  at::Tensor forward(const at::Tensor& x, const Activation& activation = {}) const;
  const ResBlockShape& shape() const { return shape_; }

  std::shared_ptr<Conv> conv1, conv2, shortcut;  ///< shortcut is null where it is the identity

 private:
  ResBlockShape shape_;
};

/// 2x2 average pooling; an odd last row or column is left out.
at::Tensor average_pool(const at::Tensor& x);

/// The end of the residual energies: global average pool of h [B, n, H, W] and a linear layer n -> 1 without bias, as
/// one weighted sum of each sample's own values; [B], float32 for bfloat16 activations. (A matrix product would let a
/// sample's bits depend on its row.)
at::Tensor pooled_energy(const at::Tensor& h, const Linear& linear);

/// 1 / sigma(weight), with sigma the largest singular value of weight as a matrix [out, rest], by power iteration
/// (Miyato et al. 2018). The iteration starts from the same fixed vector at every call and runs 10 times, so nothing
/// has a state and every rank and lane finds the same bits; its vectors count as constants in the derivative.
at::Tensor spectral_scale(const at::Tensor& weight);

}  // namespace langrun
