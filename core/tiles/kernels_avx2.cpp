// Tiles on AVX2 and FMA. Compiled with these instructions; called only where they exist.
#include <immintrin.h>

#include "core/tiles/loops.h"

namespace langrun::tiles {
namespace {

#define LANGRUN_LANE static inline __attribute__((always_inline))

struct Avx2 {
  using Vector = __m256;
  static constexpr int kLanes = 8;

  LANGRUN_LANE Vector zero() { return _mm256_setzero_ps(); }
  LANGRUN_LANE Vector splat(float x) { return _mm256_set1_ps(x); }
  LANGRUN_LANE Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  LANGRUN_LANE Vector sub(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  LANGRUN_LANE Vector mul(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  LANGRUN_LANE Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  LANGRUN_LANE Vector larger(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  LANGRUN_LANE Vector positive_or(Vector mask, Vector x, Vector y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(mask, zero(), _CMP_GT_OQ));
  }
  LANGRUN_LANE float total(Vector x) {
    float parts[kLanes];
    _mm256_storeu_ps(parts, x);
    return ((parts[0] + parts[4]) + (parts[1] + parts[5])) + ((parts[2] + parts[6]) + (parts[3] + parts[7]));
  }

  LANGRUN_LANE Vector load(const float* from) { return _mm256_loadu_ps(from); }
  LANGRUN_LANE void store(float* to, Vector x) { _mm256_storeu_ps(to, x); }
  LANGRUN_LANE void store_one(float* to, float x) { *to = x; }
};

}  // namespace

Avx2Tables avx2_tables() { return {Loops<Avx2, float>::table(), &squared_norm<Avx2>}; }

}  // namespace langrun::tiles
