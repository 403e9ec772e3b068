#include "core/similarity.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr double kSigma = 1.5;
constexpr double kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;

std::array<double, kSsimWindow> gaussian() {
  std::array<double, kSsimWindow> window{};
  double sum = 0;
  for (std::int64_t i = 0; i < kSsimWindow; ++i) {
    const auto x = static_cast<double>(i - kSsimWindow / 2);
    window[static_cast<std::size_t>(i)] = std::exp(-x * x / (2 * kSigma * kSigma));
    sum += window[static_cast<std::size_t>(i)];
  }
  for (auto& weight : window) weight /= sum;
  return window;
}

// Sums of shifted images, so that an image's values depend on nothing beside it.
at::Tensor along(const at::Tensor& x, std::int64_t dimension) {
  static const auto window = gaussian();
  const auto places = x.size(dimension) - kSsimWindow + 1;
  auto sum = x.narrow(dimension, 0, places) * window[0];
  for (std::int64_t i = 1; i < kSsimWindow; ++i)
    sum.add_(x.narrow(dimension, i, places), window[static_cast<std::size_t>(i)]);
  return sum;
}

at::Tensor smooth(const at::Tensor& x) { return along(along(x, 2), 3); }

}  // namespace

at::Tensor ssim(const at::Tensor& a, const at::Tensor& b) {
  if (a.dim() != 4 || a.sizes() != b.sizes() || a.size(2) < kSsimWindow || a.size(3) < kSsimWindow)
    throw Error(ExitCode::internal, "structural similarity wants pairs of images of 11 x 11 or more");
  const auto x = a.to(torch::kFloat64), y = b.to(torch::kFloat64);
  const auto mx = smooth(x), my = smooth(y);
  const auto xx = smooth(x * x) - mx * mx, yy = smooth(y * y) - my * my, xy = smooth(x * y) - mx * my;
  const auto likeness = ((mx * my * 2 + kC1) * (xy * 2 + kC2)) / ((mx * mx + my * my + kC1) * (xx + yy + kC2));
  return likeness.mean({1, 2, 3});
}

std::uint64_t squared_distance(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  if (a.size() != b.size()) throw Error(ExitCode::internal, "images of different sizes have no distance");
  constexpr std::size_t kPiece = 32768;  // 255^2 times this fits in 32 bits
  std::uint64_t sum = 0;
  for (std::size_t first = 0; first < a.size(); first += kPiece) {
    const auto last = std::min(a.size(), first + kPiece);
    std::uint32_t piece = 0;
    for (std::size_t i = first; i < last; ++i) {
      const int difference = static_cast<int>(a[i]) - static_cast<int>(b[i]);
      piece += static_cast<std::uint32_t>(difference * difference);
    }
    sum += piece;
  }
  return sum;
}

}  // namespace langrun
