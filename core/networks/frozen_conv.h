// A convolution with fixed weights, for networks whose forward and backward passes are written out by hand.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace langrun {

/// A convolution (square kernel, dilation 1) whose weights stay the same over many calls. On CPUs the weights are laid
/// out once for oneDNN, at the first call of a batch shape, instead of at every call, and the activation is part of the
/// convolution; elsewhere it calls the library's ordinary convolutions, on GPUs with bias and activation in one kernel
/// behind. Every call needs at::NoGradGuard.
class FrozenConv {
 public:
  /// What follows the convolution, in the same pass.
  struct Activation {
    bool active = false;
    double slope = 0;  ///< of the negative side; 0: ReLU
  };

  FrozenConv(std::int64_t stride, std::int64_t padding) : stride_(stride), padding_(padding) {}

  /// weight [out, in, k, k] and bias [out] (or undefined), both of the type and on the device of later inputs. Weights
  /// of the same shape are taken over in place: what a graph captured of earlier calls (core/device_chain.h) sees them.
  void set(const at::Tensor& weight, const at::Tensor& bias);
  /// x [B, in, H, W] channels-last to [B, out, H', W'] channels-last.
  at::Tensor forward(const at::Tensor& x, Activation activation);
  /// Gradient in the input of the call forward(input, .), from the gradient [B, out, H', W'] before the activation.
  at::Tensor input_gradient(const at::Tensor& gradient, const at::Tensor& input);

 private:
  void pack(at::IntArrayRef input, at::IntArrayRef output);
  at::Tensor plain_forward(const at::Tensor& x, Activation activation) const;

  std::int64_t stride_, padding_;
  at::Tensor weight_, bias_;
  at::Tensor packed_, packed_transpose_;  ///< in oneDNN's layout; undefined where not packed
  std::vector<std::int64_t> packed_for_;  ///< input sizes they were laid out for
};

/// The first convolution of a network (kernel 3, stride 1, padding 1, images of even height and width). Its gradient
/// has the images' 3 channels, a fifth of a vector register; four neighbouring pixels at once are 12 channels, found by
/// one convolution of stride 2 with a 4x4 kernel.
class FrozenFirstConv {
 public:
  void set(const at::Tensor& weight, const at::Tensor& bias);
  at::Tensor forward(const at::Tensor& x, FrozenConv::Activation activation) { return conv_.forward(x, activation); }
  /// As FrozenConv's; the result need not be channels-last.
  at::Tensor input_gradient(const at::Tensor& gradient);

 private:
  FrozenConv conv_{1, 1}, gradient_{2, 1};
};

/// Copies `from` into `to` where that is a tensor of the same size already (its memory stays, see FrozenConv::set),
/// else makes `to` a channels-last copy of its own.
void keep_copy(at::Tensor& to, const at::Tensor& from);

/// gradient * (1 where result > 0, else slope), in place: back through a (Leaky)ReLU by its result.
at::Tensor& mask_gradient(at::Tensor& gradient, const at::Tensor& result, double slope);

}  // namespace langrun
