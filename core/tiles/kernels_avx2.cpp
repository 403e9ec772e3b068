// Tiles on AVX2 and FMA. Compiled with these instructions; called only where they exist.
#include <immintrin.h>

#include "core/tiles/loops.h"

namespace langrun::tiles {
namespace {

#define LANGRUN_LANE static inline __attribute__((always_inline))

struct Avx2 {
  using Vector = __m256;
  static constexpr int kLanes = 8;
  // Of 16 registers: 12 for sums, the rest for weights and a value.
  static constexpr int kVectors = 2, kRows = 6, kRows2 = 6, kRows1 = 8;

  LANGRUN_LANE Vector zero() { return _mm256_setzero_ps(); }
  LANGRUN_LANE Vector splat(float x) { return _mm256_set1_ps(x); }
  LANGRUN_LANE Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  LANGRUN_LANE Vector sub(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  LANGRUN_LANE Vector mul(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  LANGRUN_LANE Vector div(Vector a, Vector b) { return _mm256_div_ps(a, b); }
  LANGRUN_LANE Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  LANGRUN_LANE Vector larger(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  LANGRUN_LANE Vector positive_or(Vector mask, Vector x, Vector y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(mask, zero(), _CMP_GT_OQ));
  }
  LANGRUN_LANE Vector nearest(Vector x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // n goes into the exponent's bits; x is between 1/2 and 2.
  LANGRUN_LANE Vector times_power_of_two(Vector x, Vector n) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(x, _mm256_castsi256_ps(exponent));
  }
  LANGRUN_LANE float most(Vector x) {
    float parts[kLanes], largest;
    _mm256_storeu_ps(parts, x);
    largest = parts[0];
    for (int i = 1; i < kLanes; ++i) largest = parts[i] > largest ? parts[i] : largest;
    return largest;
  }
  LANGRUN_LANE float total(Vector x) {
    float parts[kLanes];
    _mm256_storeu_ps(parts, x);
    return ((parts[0] + parts[4]) + (parts[1] + parts[5])) + ((parts[2] + parts[6]) + (parts[3] + parts[7]));
  }

  template <class T>
  static constexpr int depth_of() {
    return 1;
  }
  template <class T>
  using Operand = __m256;
  LANGRUN_LANE Vector weights(const float* from) { return _mm256_loadu_ps(from); }
  LANGRUN_LANE Vector repeated(const float* from) { return _mm256_set1_ps(*from); }
  LANGRUN_LANE Vector product(Vector value, Vector column, Vector sum) { return fma(value, column, sum); }

  LANGRUN_LANE Vector load(const float* from) { return _mm256_loadu_ps(from); }
  LANGRUN_LANE void store(float* to, Vector x) { _mm256_storeu_ps(to, x); }
  LANGRUN_LANE void store_one(float* to, float x) { *to = x; }
};

}  // namespace

Avx2Tables avx2_tables() { return {Loops<Avx2, float>::table(), &squared_norm<Avx2>}; }

}  // namespace langrun::tiles
