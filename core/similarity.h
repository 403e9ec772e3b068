// How alike two images are: structural similarity, and distances to find nearest neighbours by.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <span>

namespace langrun {

/// Side of the window of `ssim`, pixels: no image may be smaller.
constexpr std::int64_t kSsimWindow = 11;

/// Structural similarity of a[i] and b[i] (Wang et al. 2004, "Image quality assessment: from error visibility to
/// structural similarity"): a Gaussian window of 11 x 11 and sigma 1.5, K1 = 0.01, K2 = 0.03, values from 0 to 1, over
/// the places where the whole window lies in the image, each channel by itself, then the mean over channels and places.
/// a, b [B, C, H, W] in [0, 1] of any floating type, H and W of 11 or more, to [B] float64. Throws Error(internal) for
/// other shapes.
at::Tensor ssim(const at::Tensor& a, const at::Tensor& b);

/// Sum of squared differences of two 8-bit images of one size, exact.
std::uint64_t squared_distance(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

/// The nearest candidate so far.
struct Nearest {
  std::uint64_t index = ~std::uint64_t{0};  ///< none yet
  double distance = 0;

  /// Takes a candidate that is nearer, or as near and of a lower index: so the order of offers does not matter.
  void offer(std::uint64_t candidate, double its_distance) {
    const bool none = index == ~std::uint64_t{0};
    if (!none && (its_distance > distance || (its_distance == distance && candidate > index))) return;
    index = candidate;
    distance = its_distance;
  }
};

}  // namespace langrun
