// Tiles on AVX-512 (F, BW and BF16). Compiled with these instructions; called only where they exist.
#include <immintrin.h>

#include "core/tiles/loops.h"

namespace langrun::tiles {
namespace {

#define LANGRUN_LANE static inline __attribute__((always_inline))

struct Avx512 {
  using Vector = __m512;
  static constexpr int kLanes = 16;
  // Of 32 registers: 24 for sums, the rest for weights and a value. Rows of a block halve down to one for what remains.
  static constexpr int kVectors = 4, kRows = 6, kRows2 = 12, kRows1 = 16;

  LANGRUN_LANE Vector zero() { return _mm512_setzero_ps(); }
  LANGRUN_LANE Vector splat(float x) { return _mm512_set1_ps(x); }
  LANGRUN_LANE Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  LANGRUN_LANE Vector sub(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  LANGRUN_LANE Vector mul(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  LANGRUN_LANE Vector div(Vector a, Vector b) { return _mm512_div_ps(a, b); }
  LANGRUN_LANE Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  LANGRUN_LANE Vector larger(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  LANGRUN_LANE Vector positive_or(Vector mask, Vector x, Vector y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(mask, zero(), _CMP_GT_OQ), y, x);
  }
  LANGRUN_LANE Vector nearest(Vector x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT); }
  LANGRUN_LANE Vector times_power_of_two(Vector x, Vector n) { return _mm512_scalef_ps(x, n); }
  LANGRUN_LANE float most(Vector x) { return _mm512_reduce_max_ps(x); }
  LANGRUN_LANE float total(Vector x) { return _mm512_reduce_add_ps(x); }

  /// How a product takes its numbers: one by one, or for bfloat16 two neighbours at once.
  template <class T>
  static constexpr int depth_of() {
    return sizeof(float) / sizeof(T);
  }
  template <class T>
  using Operand = __m512;
  LANGRUN_LANE Vector weights(const float* from) { return _mm512_loadu_ps(from); }
  LANGRUN_LANE Vector weights(const Bf16* from) { return _mm512_loadu_ps(from); }
  LANGRUN_LANE Vector repeated(const float* from) { return _mm512_set1_ps(*from); }
  struct Pair {
    __m512 values;
  };
  LANGRUN_LANE Pair repeated(const Bf16* from) {
    float both;
    __builtin_memcpy(&both, from, sizeof both);
    return {_mm512_set1_ps(both)};
  }
  LANGRUN_LANE Vector product(Vector value, Vector column, Vector sum) { return _mm512_fmadd_ps(value, column, sum); }
  LANGRUN_LANE Vector product(Pair value, Vector column, Vector sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(value.values), reinterpret_cast<__m512bh>(column));
  }

  LANGRUN_LANE Vector load(const float* from) { return _mm512_loadu_ps(from); }
  LANGRUN_LANE void store(float* to, Vector x) { _mm512_storeu_ps(to, x); }
  LANGRUN_LANE void store_one(float* to, float x) { *to = x; }
  // The upper half of a float is its bfloat16, the lower half zero.
  LANGRUN_LANE Vector load(const Bf16* from) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  LANGRUN_LANE void store(Bf16* to, Vector x) {
    const __m256bh rounded = _mm512_cvtneps_pbh(x);
    __builtin_memcpy(to, &rounded, sizeof rounded);
  }
  LANGRUN_LANE void store_one(Bf16* to, float x) {
    const __m256bh rounded = _mm512_cvtneps_pbh(splat(x));
    __builtin_memcpy(to, &rounded, sizeof *to);
  }
};

}  // namespace

Avx512Tables avx512_tables() {
  return {Loops<Avx512, float>::table(), Loops<Avx512, Bf16>::table(), &squared_norm<Avx512>};
}

}  // namespace langrun::tiles
