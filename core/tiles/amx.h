// Products of bfloat16 on AMX's tiles, over a class that stands for the tile registers: the processor's own in
// kernels_amx.cpp, an emulation in the unit tests. Compiled with wider instruction sets: see kernels.h for what this
// may include.
#pragma once

#include "core/tiles/kernels.h"

namespace langrun::tiles {

/// Rows of a tile; bfloat16 numbers of its row; float32 numbers of its row.
constexpr int kTileRows = 16, kTileDepth = 32, kTileColumns = 16;

/// Tiles has eight registers: `shape(rows)` makes 0 to 5 that many rows high (sums in 0 to 3, values in 4 and 5) and 6
/// and 7 (weights) full; zero<t>(), load<t>(from, bytes between rows), product<sum, value, weight>(), store<t>(to,
/// bytes).
template <class Tiles>
struct AmxProducts {
  /// kHigh x kWide tiles of sums, over the whole depth.
  template <int kHigh, int kWide>
  static void block(int width, int depth, const Bf16* a, std::size_t pitch, const Bf16* weights, float* sums) {
    const std::size_t a_bytes = pitch * sizeof(Bf16), w_bytes = static_cast<std::size_t>(width) * 2 * sizeof(Bf16),
                      sum_bytes = static_cast<std::size_t>(width) * sizeof(float);
    const Bf16* lower = a + kTileRows * pitch;
    Tiles::template zero<0>();
    if constexpr (kWide == 2) Tiles::template zero<1>();
    if constexpr (kHigh == 2) Tiles::template zero<2>();
    if constexpr (kHigh == 2 && kWide == 2) Tiles::template zero<3>();
    for (int k = 0; k < depth; k += kTileDepth) {
      const Bf16* columns = weights + static_cast<std::size_t>(k) * static_cast<std::size_t>(width);
      Tiles::template load<4>(a + k, a_bytes);
      Tiles::template load<6>(columns, w_bytes);
      Tiles::template product<0, 4, 6>();
      if constexpr (kWide == 2) {
        Tiles::template load<7>(columns + kTileColumns * 2, w_bytes);
        Tiles::template product<1, 4, 7>();
      }
      if constexpr (kHigh == 2) {
        Tiles::template load<5>(lower + k, a_bytes);
        Tiles::template product<2, 5, 6>();
        if constexpr (kWide == 2) Tiles::template product<3, 5, 7>();
      }
    }
    float* below = sums + kTileRows * width;
    Tiles::template store<0>(sums, sum_bytes);
    if constexpr (kWide == 2) Tiles::template store<1>(sums + kTileColumns, sum_bytes);
    if constexpr (kHigh == 2) Tiles::template store<2>(below, sum_bytes);
    if constexpr (kHigh == 2 && kWide == 2) Tiles::template store<3>(below + kTileColumns, sum_bytes);
  }

  template <int kHigh>
  static void strip(int width, int depth, const Bf16* a, std::size_t pitch, const Bf16* weights, float* sums) {
    int column = 0;
    for (; column + 2 * kTileColumns <= width; column += 2 * kTileColumns)
      block<kHigh, 2>(width, depth, a, pitch, weights + 2 * column, sums + column);
    if (column < width) block<kHigh, 1>(width, depth, a, pitch, weights + 2 * column, sums + column);
  }

  /// Kernels::multiply for a depth that is a multiple of kTileDepth, between `shape(kTileRows)` and its release. Every
  /// row goes through tiles, the last ones through lower tiles, so that its bits do not depend on how many there are.
  static void multiply(int rows, int width, int depth, const Bf16* a, std::size_t pitch, const Bf16* weights,
                       float* sums) {
    int row = 0;
    const auto at = [&](int r) { return a + static_cast<std::size_t>(r) * pitch; };
    for (; row + 2 * kTileRows <= rows; row += 2 * kTileRows)
      strip<2>(width, depth, at(row), pitch, weights, sums + row * width);
    if (row + kTileRows <= rows) {
      strip<1>(width, depth, at(row), pitch, weights, sums + row * width);
      row += kTileRows;
    }
    if (row == rows) return;
    Tiles::shape(rows - row);
    strip<1>(width, depth, at(row), pitch, weights, sums + row * width);
    Tiles::shape(kTileRows);
  }
};

}  // namespace langrun::tiles
