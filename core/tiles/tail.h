// The two ends of residual energies on CPUs: the image's average in front, global pooling and a linear layer behind.
#pragma once

#include <torch/types.h>

#include "core/tiles/maps.h"
#include "core/tiles/product.h"

namespace langrun::tiles {

/// ReLU, global average pool and a linear layer n -> 1 without bias.
class PooledTail {
 public:
  PooledTail() = default;
  /// weight [1, n] float32, for maps of `channels`, padded.
  PooledTail(const at::Tensor& weight, int channels);
  /// Energies [images] of maps, and their gradient in the maps.
  template <class T>
  void run(const Kernels<T>& kernels, const Maps<const T>& in, int images, float* energy, T* gradient) const;

 private:
  at::Tensor weight_;  ///< [n], padded
};

/// 2x2 means of an image [height, width, 3] float32 as a map of padded<T>(3) channels, those behind the third zero.
template <class T>
void average_image(const Kernels<T>& kernels, const float* image, const MapShape& shape, T* out,
                   Buffer<float>& scratch);
/// Adds the gradient in an image, from that in its 2x2 means (a map of padded<T>(3) channels).
template <class T>
void add_average_gradient(const Kernels<T>& kernels, const T* gradient, const MapShape& shape, float* image,
                          Buffer<float>& scratch);

}  // namespace langrun::tiles
