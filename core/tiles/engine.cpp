#include "core/tiles/engine.h"

#include <cstring>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace langrun::tiles {
namespace {

#if defined(__x86_64__)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
bool has_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kBf16) != 0 && (d & kTile) != 0;
}

/// Whether tiles and AVX-512 agree on a product of 40 rows: a guard against a system or an emulator that takes the
/// instructions and does something else.
bool tiles_agree(const Kernels<Bf16>& vectors, const ProductRoutines& tiles) {
  constexpr int kRows = 40, kWidth = 48, kDepth = 64;
  std::vector<Bf16> values(kRows * kDepth), weights(kDepth * kWidth);
  // Small whole numbers, as the upper halves of floats: their sums are exact in any order.
  const auto fill = [](std::vector<Bf16>& to, unsigned step) {
    for (std::size_t i = 0; i < to.size(); ++i) {
      const float value = static_cast<float>(static_cast<int>(i * step % 17) - 8);
      std::uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      to[i].bits = static_cast<std::uint16_t>(bits >> 16);
    }
  };
  fill(values, 5);
  fill(weights, 7);
  std::vector<float> expected(kRows * kWidth), given(kRows * kWidth);
  vectors.multiply(kRows, kWidth, kDepth, values.data(), kDepth, weights.data(), expected.data());
  tiles.begin();
  tiles.multiply(kRows, kWidth, kDepth, values.data(), kDepth, weights.data(), given.data());
  tiles.end();
  return expected == given;
}

Kernels<Bf16> fastest_bf16() {
  // Even the making of a table runs instructions of its own set: the processor is asked first.
  if (!has_bf16()) return {};
  auto table = avx512_tables().bf16;
  if (!has_amx() || !ask_for_tiles()) return table;
  const auto tiles = amx_products();
  if (!tiles_agree(table, tiles)) return table;
  table.multiply = tiles.multiply;
  table.begin = tiles.begin;
  table.end = tiles.end;
  return table;
}

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

#if defined(__x86_64__)
Kernels<float> fastest_fp32() {
  if (has_avx512()) return avx512_tables().fp32;
  return has_avx2() ? avx2_tables().fp32 : Kernels<float>{};
}
#endif

float portable_norm(const float* values, std::size_t count) {
  float sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += values[i] * values[i];
  return sum;
}

SquaredNorm fastest_norm() {
#if defined(__x86_64__)
  if (has_avx512()) return avx512_tables().squared_norm;
  if (has_avx2()) return avx2_tables().squared_norm;
#endif
  return &portable_norm;
}

}  // namespace

template <>
const Kernels<float>* kernels<float>() {
#if defined(__x86_64__)
  static const Kernels<float> table = fastest_fp32();
  return has_avx512() || has_avx2() ? &table : nullptr;
#else
  return nullptr;
#endif
}

template <>
const Kernels<Bf16>* kernels<Bf16>() {
#if defined(__x86_64__)
  static const Kernels<Bf16> table = fastest_bf16();
  return has_bf16() ? &table : nullptr;
#else
  return nullptr;
#endif
}

const char* bf16_products() {
#if defined(__x86_64__)
  if (const auto* table = kernels<Bf16>())
    return table->multiply == avx512_tables().bf16.multiply ? "AVX512_BF16" : "AMX";
#endif
  return "none";
}

template <>
int channel_unit<float>() {
  return 16;
}

template <>
int channel_unit<Bf16>() {
  return bf16_products() == std::string_view("AMX") ? 32 : 16;
}

float squared_norm(const float* values, std::size_t count) {
  static const SquaredNorm norm = fastest_norm();
  return norm(values, count);
}

}  // namespace langrun::tiles
