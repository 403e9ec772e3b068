// Inside of core/tiles: one table of routines per instruction set and number type.
//
// The files kernels_*.cpp are compiled with wider instruction sets than the rest of the program. They may include this
// header, loops.h and the compiler's own intrinsics, but nothing with ordinary inline functions (see
// core/noise_kernels.h for why).
#pragma once

#include <cstddef>
#include <cstdint>

namespace langrun::tiles {

/// A bfloat16 number in memory.
struct Bf16 {
  std::uint16_t bits;
};

/// What happens to a sum of products before it is stored, in this order; the defaults leave a step out.
struct Finish {
  const float* bias = nullptr;  ///< [channels], added
  float slope = 1;              ///< (Leaky)ReLU: factor of negative values; 0: ReLU
  float mask_slope = 1;         ///< back through a (Leaky)ReLU: factor where its result, `Spot::mask`, is not positive
  float add_scale = 1;          ///< factor of `Spot::add`, added last
};

/// Where the channels of one pixel go, and what Finish reads there.
template <class T>
struct Spot {
  T* out = nullptr;  ///< nullptr: outside of the image, not stored
  const T* mask = nullptr;
  const T* add = nullptr;  ///< nullptr: nothing is added
};

/// Columns of a piece of a wide matrix of sums.
constexpr int kPiece = 64;

/// Channels last throughout: a pixel is `channels` neighbouring numbers, a multiple of 16.
///
/// split and join are Winograd's transforms for tiles of 2x2 results, F(2x2, 2x2) and F(2x2, 3x3) [Lavin, Gray 2016]: a
/// window of pixels becomes P vectors, each multiplied by a matrix of its own, and the P products become 2x2 results.
template <class T>
struct Kernels {
  /// sums [rows, width] float32 = a [rows, depth], rows `pitch` apart, times `weights` as PackedMatrices lays out one
  /// chunk of `width` columns (16, 32, 48 or 64). A row's bits do not depend on the other rows, nor on their number.
  void (*multiply)(int rows, int width, int depth, const T* a, std::size_t pitch, const T* weights, float* sums);
  /// Around a run of products, on the thread that makes them: on AMX they take and give back the tile registers.
  void (*begin)();
  void (*end)();
  /// window[3 * i + j], 9 pixels, to vector p at out + p * stride, p = 3 * i + j; of max(0, pixel) with relu.
  void (*split2)(const T* const* window, int channels, bool relu, T* out, std::size_t stride);
  /// Likewise of 16 pixels.
  void (*split3)(const T* const* window, int channels, bool relu, T* out, std::size_t stride);
  /// Vector p at sums + p * stride to the results at spots[2 * i + j].
  void (*join2)(const float* sums, std::size_t stride, int channels, const Finish& finish, const Spot<T>* spots);
  void (*join3)(const float* sums, std::size_t stride, int channels, const Finish& finish, const Spot<T>* spots);
  /// rows x channels sums, `pitch` apart, to rows of out (and mask, add), `out_pitch` apart.
  void (*finish_rows)(const float* sums, std::size_t pitch, int rows, int channels, const Finish& finish, Spot<T> first,
                      std::size_t out_pitch);
  /// 3-channel image [height, width, 3] to [height + 2, (width + 2) * 3 + slack], a border of zeros around it.
  void (*pad_image)(const float* image, int height, int width, T* out, std::size_t pitch);
  /// 3x3 windows of `count` neighbouring pixels of a padded row, 27 numbers each, 32 apart; `row` is the upper left.
  void (*windows)(const T* row, std::size_t pitch, int count, T* out);
  /// max(0, x), or x, of `count` numbers (a multiple of 16).
  void (*copy)(const T* in, std::size_t count, bool relu, T* out);
  void (*to_floats)(const T* in, std::size_t count, float* out);
  /// 2x2 means of [height, width, channels]; an odd last row or column is left out.
  void (*average)(const T* in, int height, int width, int channels, T* out);
  /// Back through `average` and a ReLU before it: a quarter of in [height / 2, width / 2, channels] at each of its four
  /// places, 0 where mask is not positive and in an odd last row or column; height and width are the result's.
  void (*spread)(const T* in, const T* mask, int height, int width, int channels, T* out);
  /// SiLU of rows x channels sums with a bias added: v / (1 + exp(-v)) to out, its derivative in v to slope, both rows
  /// `channels` apart.
  void (*silu)(const float* sums, std::size_t pitch, int rows, int channels, const float* bias, T* out, T* slope);
  /// sums times slope, element by element, to out; rows as in silu.
  void (*times_slope)(const float* sums, std::size_t pitch, int rows, int channels, const T* slope, T* out);
  /// exp(x - largest) / sum over the first `count` numbers of a row that lies in pieces of kPiece, `stride` floats
  /// apart; in place, and rounded to out [columns], zeros from `count` on. Multiples of 16.
  void (*softmax)(float* row, std::size_t stride, int count, int columns, T* out);
  /// Back through softmax: probability * (slope - sum of probability * slope), of rows in pieces, to out [columns].
  void (*softmax_slope)(const float* probabilities, const float* slopes, std::size_t stride, int count, int columns,
                        T* out);
  /// Sum of weights[c] * in[pixel][c], of max(0, in) with relu.
  float (*weighted_sum)(const T* in, int pixels, int channels, const float* weights, bool weights_per_pixel, bool relu);
  /// out = weights * (in > 0 ? 1 : slope).
  void (*weighted_mask)(const T* in, int pixels, int channels, const float* weights, bool weights_per_pixel,
                        float slope, T* out);
};

/// Adds to the gradient [height, width, 3] in an image what row y of pixels gives: columns[x][(3 * i + j) * 3 + c],
/// 32 apart, is the gradient in pixel (y + i - 1, x + j - 1), channel c.
void add_windows(const float* columns, int y, int height, int width, float* gradient);
/// Sum of squares, in a fixed order.
using SquaredNorm = float (*)(const float* values, std::size_t count);

struct Avx512Tables {
  Kernels<float> fp32;
  Kernels<Bf16> bf16;
  SquaredNorm squared_norm;
};
struct Avx2Tables {
  Kernels<float> fp32;
  SquaredNorm squared_norm;
};
/// Products on AMX: `multiply`, `begin` and `end` of Kernels<Bf16>. The depth must be a multiple of 32.
struct ProductRoutines {
  void (*multiply)(int rows, int width, int depth, const Bf16* a, std::size_t pitch, const Bf16* weights, float* sums);
  void (*begin)();
  void (*end)();
};

// One per kernels_*.cpp; call only what the processor supports (bf16: AVX512_BF16; amx: AMX_TILE, AMX_BF16).
Avx512Tables avx512_tables();
Avx2Tables avx2_tables();
ProductRoutines amx_products();
/// Asks the system for tile registers, for all threads of the process; false where it does not give them.
bool ask_for_tiles();

}  // namespace langrun::tiles
