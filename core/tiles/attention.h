// Self-attention of the biggan energies on CPUs, forwards and back.
#pragma once

#include <torch/types.h>

#include "core/tiles/convolution.h"

namespace langrun::tiles {

/// Weights of x + gamma * o(softmax(theta phi^T) g) over the pixels of one image, phi and g max-pooled 2x2
/// (networks.md, biggan).
template <class T>
struct AttentionWeights {
  /// Kernels [c/8, c, 1, 1], [c/8, c, 1, 1], [c/2, c, 1, 1] and [c, c/2, 1, 1], without biases; gamma goes into o.
  AttentionWeights(const at::Tensor& theta, const at::Tensor& phi, const at::Tensor& g, const at::Tensor& o,
                   const at::Tensor& gamma);
  Convolution<T> theta, phi, g, o;
};

/// One thread's way through it. Attention's matrix is made anew on the way back, a few rows at a time, and never held
/// whole.
template <class T>
class AttentionPass {
 public:
  AttentionPass(const AttentionWeights<T>& weights, const MapShape& shape);
  /// x -> out, maps of the shape given before, of even height and width.
  void forward(const Kernels<T>& kernels, const Maps<const T>& x, const Maps<T>& out, int images, Scratch<T>& scratch);
  /// Gradient in the result of the last forward call -> gradient in its input.
  void backward(const Kernels<T>& kernels, const Maps<const T>& gradient, const Maps<T>& out, int images,
                Scratch<T>& scratch);

 private:
  void attend(const Kernels<T>& kernels, int image);
  void attend_back(const Kernels<T>& kernels, int image);
  void probabilities(const Kernels<T>& kernels, const T* theta, int rows);
  void wide_product(const Kernels<T>& kernels, const T* a, int rows, int depth, const T* packed, float* sums) const;
  Maps<T> maps(Buffer<T>& buffer, const MapShape& shape, int images);

  const AttentionWeights<T>& weights_;
  MapShape shape_, narrow_, broad_;    // of x; of theta and phi; of g and what it is mixed to
  int keys_, columns_;                 // pixels after pooling; padded to whole pieces
  Buffer<T> theta_, phi_, g_, mixed_;  // maps of the last forward call
  Buffer<T> mixed_slope_, theta_slope_, phi_slope_, g_slope_;
  // Of one image: pooled keys and values, and their forms as right-hand sides of products.
  Buffer<T> keys_rows_, values_rows_, keys_turned_, keys_packed_, values_turned_, values_packed_;
  Buffer<T> rows_, turned_, piece_;
  Buffer<float> sums_, slopes_, products_, keys_sum_, values_sum_;
};

}  // namespace langrun::tiles
