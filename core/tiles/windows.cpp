#include <cstring>

#include "core/tiles/kernels.h"

namespace langrun::tiles {
namespace {

// A pixel's three channels and one lane more. The first vector registers of x86-64 hold four floats, as do others'.
using Pixel = float __attribute__((vector_size(16)));

Pixel load(const float* from) {
  Pixel pixel;
  std::memcpy(&pixel, from, sizeof pixel);
  return pixel;
}

void add(Pixel pixel, float* to) {
  for (int c = 0; c < 3; ++c) to[c] += pixel[c];
}

}  // namespace

void add_windows(const float* columns, int y, int height, int width, float* gradient) {
  constexpr int kApart = 32, kTap = 3;
  for (int i = 0; i < 3; ++i) {
    const int row = y + i - 1;
    if (row < 0 || row >= height) continue;
    float* to = gradient + static_cast<std::ptrdiff_t>(row) * width * 3;
    // Tap (i, j) of result pixel x lies at image pixel x + j - 1.
    const float* at = columns + i * 3 * kTap;
    for (int x = 0; x < width; ++x) {
      Pixel sum = load(at + x * kApart + kTap);
      if (x > 0) sum += load(at + (x - 1) * kApart + 2 * kTap);
      if (x + 1 < width) sum += load(at + (x + 1) * kApart);
      add(sum, to + 3 * x);
    }
  }
}

}  // namespace langrun::tiles
