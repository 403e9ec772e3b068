// The arithmetic behind core/noise.h, written once for every machine that draws numbers: plain C++, vector units (the
// noise_lanes_*.cpp files) and CUDA kernels (noise_cuda.cu) all instantiate the templates below with their own `Ops`.
// Each operation of an Ops is exactly rounded (IEEE 754 single precision, nearest even) or an integer one, and the
// order of operations stands here, so every instantiation gives the same bits.
//
// Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define LANGRUN_HOST_DEVICE __host__ __device__ __forceinline__
#else
// Forced inline: these templates are also compiled with wider instruction sets, and no out-of-line copy made there may
// be the one that the linker keeps for everybody.
#define LANGRUN_HOST_DEVICE inline __attribute__((always_inline))
#endif

namespace langrun {

/// Numbers come in groups of kNoiseGroup: kGroupBlocks blocks of four. Number i stands in group i / 64, and there in
/// word (i % 64) / 16 of block 16 * group + i % 16: so a vector unit of up to 16 lanes, and a warp, write it in order.
constexpr int kGroupBlocks = 16;
constexpr int kNoiseGroup = 4 * kGroupBlocks;

/// One number at a time, in plain C++ or in a CUDA kernel.
struct ScalarOps {
  using Word = std::uint32_t;  ///< 32 bits; wider lanes carry rubbish above them
  using Product = std::uint64_t;
  using Float = float;
  using Bits = std::uint32_t;

  static LANGRUN_HOST_DEVICE Word splat_word(std::uint32_t x) { return x; }
  static LANGRUN_HOST_DEVICE Product product(Word a, std::uint32_t b) { return static_cast<Product>(a) * b; }
  static LANGRUN_HOST_DEVICE Word high(Product p) { return static_cast<Word>(p >> 32); }
  static LANGRUN_HOST_DEVICE Word low(Product p) { return static_cast<Word>(p); }
  static LANGRUN_HOST_DEVICE Word xor3(Word a, Word b, std::uint32_t c) { return a ^ b ^ c; }

  static LANGRUN_HOST_DEVICE Float splat(float x) { return x; }
  static LANGRUN_HOST_DEVICE Bits splat_bits(std::uint32_t x) { return x; }
  static LANGRUN_HOST_DEVICE Bits add(Bits a, Bits b) { return a + b; }
  static LANGRUN_HOST_DEVICE Bits subtract(Bits a, Bits b) { return a - b; }
  static LANGRUN_HOST_DEVICE Bits bit_and(Bits a, Bits b) { return a & b; }
  static LANGRUN_HOST_DEVICE Bits bit_xor(Bits a, Bits b) { return a ^ b; }
  template <int n>
  static LANGRUN_HOST_DEVICE Bits shift_left(Bits a) {
    return a << n;
  }
  template <int n>
  static LANGRUN_HOST_DEVICE Bits shift_right(Bits a) {
    return a >> n;
  }
  /// Arithmetic: copies the sign.
  template <int n>
  static LANGRUN_HOST_DEVICE Bits shift_sign(Bits a) {
    return static_cast<Bits>(static_cast<std::int32_t>(a) >> n);
  }
  /// a where the lowest bit of `which` is set, else b.
  static LANGRUN_HOST_DEVICE Float select_odd(Bits which, Float a, Float b) { return (which & 1u) != 0u ? a : b; }

  static LANGRUN_HOST_DEVICE Float as_float(Bits a) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(a);
#else
    float x;
    std::memcpy(&x, &a, sizeof x);
    return x;
#endif
  }
  static LANGRUN_HOST_DEVICE Bits as_bits(Float a) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(a);
#else
    std::uint32_t x;
    std::memcpy(&x, &a, sizeof x);
    return x;
#endif
  }
  /// Of a signed integer, to nearest even.
  static LANGRUN_HOST_DEVICE Float to_float(Bits a) {
#if defined(__CUDA_ARCH__)
    return __int2float_rn(static_cast<int>(a));
#else
    return static_cast<float>(static_cast<std::int32_t>(a));
#endif
  }
  // Named rather than written as operators: nvcc fuses a * b + c on its own accord.
  static LANGRUN_HOST_DEVICE Float multiply(Float a, Float b) {
#if defined(__CUDA_ARCH__)
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
  }
  static LANGRUN_HOST_DEVICE Float subtract_float(Float a, Float b) {
#if defined(__CUDA_ARCH__)
    return __fsub_rn(a, b);
#else
    return a - b;
#endif
  }
  /// a * b + c, rounded once.
  static LANGRUN_HOST_DEVICE Float fma(Float a, Float b, Float c) {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(a, b, c);
#else
    return __builtin_fmaf(a, b, c);
#endif
  }
  static LANGRUN_HOST_DEVICE Float square_root(Float a) {
#if defined(__CUDA_ARCH__)
    return __fsqrt_rn(a);
#else
    return __builtin_sqrtf(a);
#endif
  }
};

/// Ten rounds on the counter c[4], in place, under the key (key0, key1).
template <class Ops>
LANGRUN_HOST_DEVICE void philox_rounds(typename Ops::Word (&c)[4], std::uint32_t key0, std::uint32_t key1) {
#if defined(__CUDACC__)
#pragma unroll
#else
#pragma GCC unroll 10
#endif
  for (int round = 0; round < 10; ++round) {
    const typename Ops::Product p0 = Ops::product(c[0], 0xD2511F53u);
    const typename Ops::Product p1 = Ops::product(c[2], 0xCD9E8D57u);
    c[0] = Ops::xor3(Ops::high(p1), c[1], key0);
    c[1] = Ops::low(p1);
    c[2] = Ops::xor3(Ops::high(p0), c[3], key1);
    c[3] = Ops::low(p0);
    key0 += 0x9E3779B9u;  // the golden ratio, and sqrt(3) - 1, as 32-bit fractions
    key1 += 0xBB67AE85u;
  }
}

/// [0, 1), the upper 24 bits of a word: exact.
template <class Ops>
LANGRUN_HOST_DEVICE typename Ops::Float uniform_from_word(typename Ops::Bits word) {
  return Ops::multiply(Ops::to_float(Ops::template shift_right<8>(word)), Ops::splat(0x1p-24f));
}

/// -2 ln u for u in (0, 1] and normal: relative error under 1e-7. u = 2^e m with m in [sqrt(1/2), sqrt(2));
/// with f = m - 1: -2 ln(1 + f) = -2 f + f^2 + f^3 P(f), P the minimax polynomial of degree 8 (relative error 2^-30).
template <class Ops>
LANGRUN_HOST_DEVICE typename Ops::Float minus_two_log(typename Ops::Float u) {
  using Float = typename Ops::Float;
  using Bits = typename Ops::Bits;
  const Bits bits = Ops::as_bits(u);
  const Bits exponent = Ops::template shift_sign<23>(Ops::subtract(bits, Ops::splat_bits(0x3F3504F3u)));
  const Float m = Ops::as_float(Ops::subtract(bits, Ops::template shift_left<23>(exponent)));
  const Float e = Ops::to_float(exponent);
  const Float f = Ops::subtract_float(m, Ops::splat(1.0f));
  Float p = Ops::splat(-0x1.1457a2p-3f);
  p = Ops::fma(p, f, Ops::splat(0x1.de3c14p-3f));
  p = Ops::fma(p, f, Ops::splat(-0x1.e6f06cp-3f));
  p = Ops::fma(p, f, Ops::splat(0x1.fc2208p-3f));
  p = Ops::fma(p, f, Ops::splat(-0x1.233768p-2f));
  p = Ops::fma(p, f, Ops::splat(0x1.555c4ep-2f));
  p = Ops::fma(p, f, Ops::splat(-0x1.99a4b6p-2f));
  p = Ops::fma(p, f, Ops::splat(0x1.000006p-1f));
  p = Ops::fma(p, f, Ops::splat(-0x1.555548p-1f));
  p = Ops::fma(p, f, Ops::splat(1.0f));
  const Float f2 = Ops::multiply(f, f);
  const Float near_one = Ops::fma(f2, p, Ops::multiply(f, Ops::splat(-2.0f)));
  // -2 ln 2 in two pieces: the rounding of the first would cost more than all the rest.
  return Ops::fma(e, Ops::splat(-0x1.62e430p+0f), Ops::fma(e, Ops::splat(0x1.05c610p-28f), near_one));
}

/// cos and sin of 2 pi word / 2^32. The word's nearest quarter turn is exact integer arithmetic; what is left is
/// v pi / 4 with v in [-1, 1]: sin = v (pi/4 + v^2 S(v^2)), cos = 1 + v^2 C(v^2), minimax of relative error 2^-28,
/// 2^-34.
template <class Ops>
LANGRUN_HOST_DEVICE void cos_sin_turn(typename Ops::Bits word, typename Ops::Float& cosine, typename Ops::Float& sine) {
  using Float = typename Ops::Float;
  using Bits = typename Ops::Bits;
  const Bits quarter = Ops::template shift_right<30>(Ops::add(word, Ops::splat_bits(0x20000000u)));
  const Float v = Ops::multiply(Ops::to_float(Ops::template shift_left<2>(word)), Ops::splat(0x1p-31f));
  const Float v2 = Ops::multiply(v, v);
  Float s = Ops::splat(-0x1.2dc84cp-15f);
  s = Ops::fma(s, v2, Ops::splat(0x1.466004p-9f));
  s = Ops::fma(s, v2, Ops::splat(-0x1.4abbbep-4f));
  // pi / 4 in two pieces, so that sin keeps its relative accuracy where v is small.
  s = Ops::fma(s, v2, Ops::splat(-0x1.777a5cp-26f));
  s = Ops::fma(v, Ops::splat(0x1.921fb6p-1f), Ops::multiply(s, v));
  Float c = Ops::splat(0x1.d9d57ep-19f);
  c = Ops::fma(c, v2, Ops::splat(-0x1.55c5e0p-12f));
  c = Ops::fma(c, v2, Ops::splat(0x1.03c1dep-6f));
  c = Ops::fma(c, v2, Ops::splat(-0x1.3bd3ccp-2f));
  c = Ops::fma(c, v2, Ops::splat(1.0f));
  // Quarter turns 0, 1, 2, 3: (c, s), (-s, c), (-c, -s), (s, -c). Only bit 0 of what is shifted by 31 counts.
  const Bits cosine_sign = Ops::template shift_left<31>(Ops::bit_xor(quarter, Ops::template shift_right<1>(quarter)));
  const Bits sine_sign = Ops::template shift_left<31>(Ops::template shift_right<1>(quarter));
  cosine = Ops::select_odd(quarter, s, c);
  sine = Ops::select_odd(quarter, c, s);
  cosine = Ops::as_float(Ops::bit_xor(Ops::as_bits(cosine), cosine_sign));
  sine = Ops::as_float(Ops::bit_xor(Ops::as_bits(sine), sine_sign));
}

/// Two words to two independent standard normals (Box and Muller 1958): u1 = (floor(word0 / 2) + 1/2) / 2^31, rounded
/// to (0, 1]; u2 = word1 / 2^32 in [0, 1); r = sqrt(-2 ln u1); z0 = r cos(2 pi u2), z1 = r sin(2 pi u2).
/// |z| <= 6.67; within 4 ulp of the exact value for the same words.
template <class Ops>
LANGRUN_HOST_DEVICE void box_muller(typename Ops::Bits word0, typename Ops::Bits word1, typename Ops::Float& z0,
                                    typename Ops::Float& z1) {
  using Float = typename Ops::Float;
  const Float u1 =
      Ops::fma(Ops::to_float(Ops::template shift_right<1>(word0)), Ops::splat(0x1p-31f), Ops::splat(0x1p-32f));
  const Float r = Ops::square_root(minus_two_log<Ops>(u1));
  Float cosine, sine;
  cos_sin_turn<Ops>(word1, cosine, sine);
  z0 = Ops::multiply(r, cosine);
  z1 = Ops::multiply(r, sine);
}

/// x - gradient_weight * gradient + noise_weight * z, in the order that every machine keeps:
/// fma(noise_weight, z, fma(-gradient_weight, gradient, x)). Give -gradient_weight.
template <class Ops>
LANGRUN_HOST_DEVICE typename Ops::Float langevin_step(typename Ops::Float minus_gradient_weight,
                                                      typename Ops::Float noise_weight, typename Ops::Float gradient,
                                                      typename Ops::Float z, typename Ops::Float x) {
  return Ops::fma(noise_weight, z, Ops::fma(minus_gradient_weight, gradient, x));
}

}  // namespace langrun
