#include "core/tiles/engine.h"

#include <type_traits>

namespace langrun::tiles {
namespace {

#if defined(__x86_64__)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
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
  static const Kernels<float> table = has_avx512() ? avx512_tables().fp32 : avx2_tables().fp32;
  return has_avx512() || has_avx2() ? &table : nullptr;
#else
  return nullptr;
#endif
}

template <>
const Kernels<Bf16>* kernels<Bf16>() {
#if defined(__x86_64__)
  static const Kernels<Bf16> table = avx512_tables().bf16;
  return has_avx512() && __builtin_cpu_supports("avx512bf16") ? &table : nullptr;
#else
  return nullptr;
#endif
}

float squared_norm(const float* values, std::size_t count) {
  static const SquaredNorm norm = fastest_norm();
  return norm(values, count);
}

}  // namespace langrun::tiles
