// Inside of core/resize.cpp: the antialiased bilinear filter, taken apart into rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace langrun {

/// What one output pixel is made of: `count` input pixels from `first` on, with weights from `weights` on.
struct FilterSpan {
  std::int64_t first = 0, count = 0;
  std::size_t weights = 0;
};

/// Triangle filter along one axis for outputs [begin, begin + count) of `output`; as wide as the scale where an image
/// shrinks, cut off and normalised at the edges. Weights are float32, computed as PyTorch does
/// (interpolate, antialias = True), so that images come out as with torchvision's tensors.
struct Filter {
  Filter(std::int64_t input, std::int64_t output, std::int64_t begin, std::int64_t count);
  std::vector<FilterSpan> spans;
  std::vector<float> weights;
};

/// One instruction set's way. Every product is added by a fused multiply-add, in the order of input pixels, so all give
/// the same bits.
struct ResampleKernels {
  const char* name;  ///< "generic", "avx2"
  /// A row of RGB pixels through `filter`: `row` uint8 [W, 3] with one readable byte behind it, `out` float
  /// [spans, 3] with one writable float behind it.
  void (*across)(const Filter& filter, const std::uint8_t* row, float* out);
  /// `count` values of `rows` rows, each weighted, rounded half to even and clamped to 0 .. 255.
  void (*down)(const float* const* rows, const float* weights, std::int64_t rows_count, std::int64_t count,
               std::uint8_t* out);
};

/// Those this processor can run, slowest first: generic, and AVX2 with FMA where there is.
std::vector<ResampleKernels> resample_kernels();

}  // namespace langrun
