// Noise on AVX-512F: 16 blocks at once. Compiled with these instructions; called only where they exist.
#include <immintrin.h>

#include "core/noise_loops.h"

namespace langrun {
namespace {

#define LANGRUN_LANE static inline __attribute__((always_inline))

/// Philox runs in 64-bit lanes, 8 at once: a product is one instruction there, and what it leaves above bit 31 is never
/// read. Box-Muller runs in 32-bit lanes, 16 at once.
struct Avx512Ops {
  using Word = __m512i;
  using Product = __m512i;
  using Float = __m512;
  using Bits = __m512i;

  LANGRUN_LANE Word splat_word(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  LANGRUN_LANE Product product(Word a, std::uint32_t b) { return _mm512_mul_epu32(a, splat_word(b)); }
  LANGRUN_LANE Word high(Product p) { return _mm512_srli_epi64(p, 32); }
  LANGRUN_LANE Word low(Product p) { return p; }
  LANGRUN_LANE Word xor3(Word a, Word b, std::uint32_t c) {
    return _mm512_ternarylogic_epi32(a, b, splat_word(c), 0x96);
  }

  LANGRUN_LANE Float splat(float x) { return _mm512_set1_ps(x); }
  LANGRUN_LANE Bits splat_bits(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  LANGRUN_LANE Bits add(Bits a, Bits b) { return _mm512_add_epi32(a, b); }
  LANGRUN_LANE Bits subtract(Bits a, Bits b) { return _mm512_sub_epi32(a, b); }
  LANGRUN_LANE Bits bit_and(Bits a, Bits b) { return _mm512_and_si512(a, b); }
  LANGRUN_LANE Bits bit_xor(Bits a, Bits b) { return _mm512_xor_si512(a, b); }
  template <int n>
  LANGRUN_LANE Bits shift_left(Bits a) {
    return _mm512_slli_epi32(a, n);
  }
  template <int n>
  LANGRUN_LANE Bits shift_right(Bits a) {
    return _mm512_srli_epi32(a, n);
  }
  template <int n>
  LANGRUN_LANE Bits shift_sign(Bits a) {
    return _mm512_srai_epi32(a, n);
  }
  LANGRUN_LANE Float select_odd(Bits which, Float a, Float b) {
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(which, _mm512_set1_epi32(1)), b, a);
  }
  LANGRUN_LANE Float as_float(Bits a) { return _mm512_castsi512_ps(a); }
  LANGRUN_LANE Bits as_bits(Float a) { return _mm512_castps_si512(a); }
  LANGRUN_LANE Float to_float(Bits a) { return _mm512_cvtepi32_ps(a); }
  LANGRUN_LANE Float multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
  LANGRUN_LANE Float subtract_float(Float a, Float b) { return _mm512_sub_ps(a, b); }
  LANGRUN_LANE Float fma(Float a, Float b, Float c) { return _mm512_fmadd_ps(a, b, c); }
  LANGRUN_LANE Float square_root(Float a) { return _mm512_sqrt_ps(a); }
};

struct Avx512Lanes {
  using Ops = Avx512Ops;
  static constexpr int kLanes = 16;

  LANGRUN_LANE void blocks(const NoiseCounter& at, std::uint32_t first, __m512i (&words)[4]) {
    const __m512i start = _mm512_set1_epi32(static_cast<int>(first));
    __m512i even[4] = {_mm512_add_epi32(start, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14)), Ops::splat_word(at.step),
                       Ops::splat_word(at.identity[0]), Ops::splat_word(at.identity[1])};
    __m512i odd[4] = {_mm512_add_epi32(start, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15)), even[1], even[2], even[3]};
    philox_rounds<Ops>(even, at.key[0], at.key[1]);
    philox_rounds<Ops>(odd, at.key[0], at.key[1]);
    for (int word = 0; word < 4; ++word) {
      words[word] = _mm512_mask_blend_epi32(0xAAAA, even[word], _mm512_slli_epi64(odd[word], 32));
    }
  }
  LANGRUN_LANE __m512 load(const float* from) { return _mm512_loadu_ps(from); }
  LANGRUN_LANE void store(float* to, __m512 x) { _mm512_storeu_ps(to, x); }
  LANGRUN_LANE void store_bits(std::uint32_t* to, __m512i x) { _mm512_storeu_si512(to, x); }
};

}  // namespace

NoiseKernels avx512_noise_kernels() { return NoiseLoops<Avx512Lanes>::table("avx512"); }

}  // namespace langrun
