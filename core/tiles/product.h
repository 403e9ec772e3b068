// Products of rows of activations with fixed weights.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "core/tiles/kernels.h"

namespace langrun::tiles {

/// Channels that maps of T are padded to whole multiples of: what a product takes at once.
template <class T>
int channel_unit();

/// Channels in memory for `channels` of a network, padded with zeros.
template <class T>
int padded(std::int64_t channels) {
  const auto unit = channel_unit<T>();
  return static_cast<int>((channels + unit - 1) / unit * unit);
}

/// A few matrices of one size, packed once for many products. Columns come in chunks, so that a chunk's sums stay in
/// cache until they are used.
template <class T>
class PackedMatrices {
 public:
  PackedMatrices() = default;
  /// values [P, K, N] float32, rounded to T here; K and N multiples of 16.
  explicit PackedMatrices(const at::Tensor& values);

  int matrices() const { return matrices_; }
  int depth() const { return depth_; }              ///< K
  int columns() const { return chunk_ * chunks_; }  ///< N
  int chunk() const { return chunk_; }              ///< columns of a chunk
  int chunks() const { return chunks_; }
  /// sums [rows, chunk()] float32 = a [rows, K], rows `pitch` apart, times chunk `chunk` of matrix `p`.
  void multiply(const Kernels<T>& kernels, int p, int chunk, int rows, const T* a, std::size_t pitch,
                float* sums) const {
    kernels.multiply(rows, chunk_, depth_, a, pitch, weights(p, chunk), sums);
  }

  /// Weights of a chunk, [K, chunk()]; for bfloat16 [K / 2, chunk(), 2].
  const T* weights(int p, int chunk) const;

 private:
  int matrices_ = 0, depth_ = 0, chunk_ = 0, chunks_ = 0;
  at::Tensor packed_;
};

}  // namespace langrun::tiles
