// Products of rows of activations with fixed weights, by LibTorch's matrix micro-kernel (oneDNN's brgemm: AMX, AVX-512
// or AVX2, whatever the processor has).
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "core/tiles/kernels.h"

namespace langrun::tiles {

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
  /// sums [rows, chunk()] float32 = a [rows, K], rows `pitch` apart, times chunk `chunk` of matrix `p`. No allocation
  /// once a shape has been seen. A row's bits do not depend on the other rows.
  void multiply(int p, int chunk, int rows, const T* a, std::int64_t pitch, float* sums) const;

 private:
  int matrices_ = 0, depth_ = 0, chunk_ = 0, chunks_ = 0;
  at::Tensor packed_;
};

/// To be called by a thread that is done with products for now: gives back the processor's tile state, where it has
/// one.
void release_products();

}  // namespace langrun::tiles
