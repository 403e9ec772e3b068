#include "distributed/tree_sum.h"

#include <algorithm>
#include <cstddef>

namespace langrun {
namespace {

// Floats at a time, so that what one level of the tree leaves is still in the nearest cache for the next.
constexpr std::size_t kPiece = 2048;

}  // namespace

void add_into(std::span<float> sum, std::span<const float> other) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
}

void add_from_left(std::span<const float> other, std::span<float> sum) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = other[i] + sum[i];
}

void add_in_tree_order(std::span<float* const> parts, std::span<float> sum) {
  const auto n = parts.size();
  for (std::size_t first = 0; first < sum.size(); first += kPiece) {
    const auto count = std::min(kPiece, sum.size() - first);
    const auto piece = [&](std::size_t p) { return std::span(parts[p] + first, count); };
    for (std::size_t stride = 1; stride < n; stride *= 2)
      for (std::size_t p = 0; p + stride < n; p += 2 * stride) add_into(piece(p), piece(p + stride));
    if (parts[0] != sum.data()) std::copy_n(parts[0] + first, count, sum.begin() + static_cast<std::ptrdiff_t>(first));
  }
}

}  // namespace langrun
