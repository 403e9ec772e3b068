// Noise on AVX2 and FMA: 8 blocks at once. Compiled with these instructions; called only where they exist.
#include <immintrin.h>

#include "core/noise_loops.h"

namespace langrun {
namespace {

#define LANGRUN_LANE static inline __attribute__((always_inline))

/// Philox runs in 64-bit lanes, 4 at once: a product is one instruction there, and what it leaves above bit 31 is never
/// read. Box-Muller runs in 32-bit lanes, 8 at once.
struct Avx2Ops {
  using Word = __m256i;
  using Product = __m256i;
  using Float = __m256;
  using Bits = __m256i;

  LANGRUN_LANE Word splat_word(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  LANGRUN_LANE Product product(Word a, std::uint32_t b) { return _mm256_mul_epu32(a, splat_word(b)); }
  LANGRUN_LANE Word high(Product p) { return _mm256_srli_epi64(p, 32); }
  LANGRUN_LANE Word low(Product p) { return p; }
  LANGRUN_LANE Word xor3(Word a, Word b, std::uint32_t c) {
    return _mm256_xor_si256(_mm256_xor_si256(a, b), splat_word(c));
  }

  LANGRUN_LANE Float splat(float x) { return _mm256_set1_ps(x); }
  LANGRUN_LANE Bits splat_bits(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  LANGRUN_LANE Bits add(Bits a, Bits b) { return _mm256_add_epi32(a, b); }
  LANGRUN_LANE Bits subtract(Bits a, Bits b) { return _mm256_sub_epi32(a, b); }
  LANGRUN_LANE Bits bit_and(Bits a, Bits b) { return _mm256_and_si256(a, b); }
  LANGRUN_LANE Bits bit_xor(Bits a, Bits b) { return _mm256_xor_si256(a, b); }
  template <int n>
  LANGRUN_LANE Bits shift_left(Bits a) {
    return _mm256_slli_epi32(a, n);
  }
  template <int n>
  LANGRUN_LANE Bits shift_right(Bits a) {
    return _mm256_srli_epi32(a, n);
  }
  template <int n>
  LANGRUN_LANE Bits shift_sign(Bits a) {
    return _mm256_srai_epi32(a, n);
  }
  LANGRUN_LANE Float select_odd(Bits which, Float a, Float b) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(_mm256_slli_epi32(which, 31)));
  }
  LANGRUN_LANE Float as_float(Bits a) { return _mm256_castsi256_ps(a); }
  LANGRUN_LANE Bits as_bits(Float a) { return _mm256_castps_si256(a); }
  LANGRUN_LANE Float to_float(Bits a) { return _mm256_cvtepi32_ps(a); }
  LANGRUN_LANE Float multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
  LANGRUN_LANE Float subtract_float(Float a, Float b) { return _mm256_sub_ps(a, b); }
  LANGRUN_LANE Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }
  LANGRUN_LANE Float square_root(Float a) { return _mm256_sqrt_ps(a); }
};

struct Avx2Lanes {
  using Ops = Avx2Ops;
  static constexpr int kLanes = 8;

  LANGRUN_LANE void blocks(const NoiseCounter& at, std::uint32_t first, __m256i (&words)[4]) {
    const __m256i start = _mm256_set1_epi32(static_cast<int>(first));
    __m256i even[4] = {_mm256_add_epi32(start, _mm256_setr_epi32(0, 0, 2, 0, 4, 0, 6, 0)), Ops::splat_word(at.step),
                       Ops::splat_word(at.identity[0]), Ops::splat_word(at.identity[1])};
    __m256i odd[4] = {_mm256_add_epi32(start, _mm256_setr_epi32(1, 0, 3, 0, 5, 0, 7, 0)), even[1], even[2], even[3]};
    philox_rounds<Ops>(even, at.key[0], at.key[1]);
    philox_rounds<Ops>(odd, at.key[0], at.key[1]);
    for (int word = 0; word < 4; ++word) {
      words[word] = _mm256_blend_epi32(even[word], _mm256_slli_epi64(odd[word], 32), 0xAA);
    }
  }
  LANGRUN_LANE __m256 load(const float* from) { return _mm256_loadu_ps(from); }
  LANGRUN_LANE void store(float* to, __m256 x) { _mm256_storeu_ps(to, x); }
  LANGRUN_LANE void store_bits(std::uint32_t* to, __m256i x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x); }
};

}  // namespace

NoiseKernels avx2_noise_kernels() { return NoiseLoops<Avx2Lanes>::table("avx2"); }

}  // namespace langrun
