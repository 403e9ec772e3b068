// Convolutions of frozen networks on CPUs, forwards and back to their input, as few products as are known to work:
// Winograd's for kernels of 3x3 and, by the four parities of its input pixels, for 4x4 with stride 2.
#pragma once

#include <torch/types.h>

#include <vector>

#include "core/tiles/maps.h"
#include "core/tiles/product.h"

namespace langrun::tiles {

/// How a product of tiles reads its input and writes its result. Tile (ty, tx) is the 2x2 results (2 ty + i, 2 tx + j),
/// i, j < 2. For every offset `o` in `from` it reads a window of (taps + 1) x (taps + 1) input pixels, 0 outside the
/// map: (step * (2 ty + i) + o.y, step * (2 tx + j) + o.x), i, j <= taps; see TileProduct::split in convolution.cpp.
struct TilePlan {
  struct Offset {
    int y = 0, x = 0;
  };
  int taps = 3;              ///< per side: 2 or 3
  int step = 1;              ///< between the pixels that neighbouring taps, and neighbouring results, meet
  std::vector<Offset> from;  ///< first pixel of result (0, 0)'s window, one entry a parity; their channels in turn
  int result_step = 1;       ///< between neighbouring results in the map they are written to
  Offset to;                 ///< of result (0, 0)
};

/// A convolution of stride 1 between maps, by Winograd's transforms: the work behind the two below.
template <class T>
class TileProduct {
 public:
  /// kernel [out, in * plan.from.size(), taps, taps] float32 with channels padded already.
  TileProduct(TilePlan plan, const at::Tensor& kernel);
  /// in -> out, `images` maps. `relu`: of max(0, in).
  void run(const Kernels<T>& kernels, const Maps<const T>& in, bool relu, const Maps<T>& out, int images,
           const Ending<T>& ending, Scratch<T>& scratch) const;

 private:
  struct Sides;
  void split(const Kernels<T>& kernels, const Maps<const T>& in, bool relu, int first, int count, Scratch<T>& scratch,
             const Sides& sides) const;
  void join(const Kernels<T>& kernels, const Maps<T>& out, int first, int count, int chunk, const Ending<T>& ending,
            const Scratch<T>& scratch, const Sides& sides) const;

  TilePlan plan_;
  PackedMatrices<T> weights_;
};

/// A 3x3 convolution (stride 1, padding 1), a 4x4 one (stride 2, padding 1) or a 1x1 one.
template <class T>
class Convolution {
 public:
  /// weight [out, in, k, k] float32, bias [out] float32 or undefined.
  Convolution(const at::Tensor& weight, const at::Tensor& bias);
  MapShape result(const MapShape& in) const;
  /// in -> out, with the bias and `ending`. `relu`: of max(0, in).
  void forward(const Kernels<T>& kernels, const Maps<const T>& in, bool relu, const Maps<T>& out, int images,
               Ending<T> ending, Scratch<T>& scratch) const;
  /// Gradient in the result -> gradient in the input, with `ending`.
  void backward(const Kernels<T>& kernels, const Maps<const T>& gradient, const Maps<T>& out, int images,
                const Ending<T>& ending, Scratch<T>& scratch) const;

 private:
  void rows(const Kernels<T>& kernels, const PackedMatrices<T>& weights, const Maps<const T>& in, bool relu,
            const Maps<T>& out, int images, const Ending<T>& ending, Scratch<T>& scratch) const;

  int kernel_, channels_;
  at::Tensor bias_;
  std::vector<TileProduct<T>> forward_,
      backward_;                     ///< 3x3: one each; 4x4: one and one a parity of the input; 1x1: none
  PackedMatrices<T> across_, back_;  ///< 1x1
};

/// The first convolution of a network: 3x3, stride 1, padding 1, from images of 3 channels, whose gradient it gives in
/// float32.
template <class T>
class ImageConvolution {
 public:
  ImageConvolution(const at::Tensor& weight, const at::Tensor& bias);
  int channels() const { return weights_.columns(); }
  /// image [height, width, 3] float32, channels last, to out; one image.
  void forward(const Kernels<T>& kernels, const float* image, const Maps<T>& out, int number, Finish finish,
               Scratch<T>& scratch) const;
  /// gradient in the result of image `number` to gradient [height, width, 3] float32 in it; written, not added.
  void backward(const Kernels<T>& kernels, const Maps<const T>& gradient, int number, float* image_gradient,
                Scratch<T>& scratch) const;

 private:
  PackedMatrices<T> weights_, back_;
  at::Tensor bias_;
};

}  // namespace langrun::tiles
