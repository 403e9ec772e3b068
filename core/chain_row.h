// One Langevin step of one chain, cut into the pieces that the threads of a GPU's block do. Plain C++17, so that the
// kernel (chain_kernels.cu) and a test on a processor run the same lines.
#pragma once

#include <cstdint>

#include "core/noise_key.h"
#include "core/philox.h"

namespace langrun {

/// What a call of the sampler is asked for. Lives in device memory, so a captured step serves any settings.
struct ChainSettings {
  std::uint32_t key[2];  ///< NoiseKey
  std::uint32_t end_step;  ///< a chain stays where it is from there on
  float gradient_weight, noise_weight;
  float max_norm;  ///< of gradient_weight ||grad U||; 0: no limit
};

/// Block `block` of the noise at (identity, step): four normals, given to use(number of the normal, z). Numbers at and
/// behind `length` are left out. What stands where: core/noise.h.
template <class Use>
LANGRUN_HOST_DEVICE void normals_of_block(std::uint32_t key0, std::uint32_t key1, std::uint64_t identity,
                                          std::uint32_t step, std::uint32_t block, std::int64_t length,
                                          const Use& use) {
  const std::int64_t first = static_cast<std::int64_t>(block / kGroupBlocks) * kNoiseGroup + block % kGroupBlocks;
  if (first >= length) return;
  std::uint32_t words[4] = {block, step, static_cast<std::uint32_t>(identity),
                            static_cast<std::uint32_t>(identity >> 32)};
  philox_rounds<ScalarOps>(words, key0, key1);
#if defined(__CUDACC__)
#pragma unroll
#endif
  for (int pair = 0; pair < 2; ++pair) {
    float z0, z1;
    box_muller<ScalarOps>(words[2 * pair], words[2 * pair + 1], z0, z1);
    const std::int64_t place = first + kGroupBlocks * (2 * pair);
    if (place < length) use(place, z0);
    if (place + kGroupBlocks < length) use(place + kGroupBlocks, z1);
  }
}

/// Blocks that a run of `length` numbers is made of.
LANGRUN_HOST_DEVICE std::int64_t noise_blocks(std::int64_t length) {
  return (length + kNoiseGroup - 1) / kNoiseGroup * kGroupBlocks;
}

/// Thread `thread` of `threads`: its share of ||gradient||^2, elements thread, thread + threads, ...
LANGRUN_HOST_DEVICE float squares_of_thread(const float* gradient, std::int64_t length, int thread, int threads) {
  float sum = 0;
  for (std::int64_t i = thread; i < length; i += threads) sum = ScalarOps::fma(gradient[i], gradient[i], sum);
  return sum;
}

/// (eta^2 / 2) ||grad U / T|| from the sum of all threads' squares.
LANGRUN_HOST_DEVICE float chain_magnitude(const ChainSettings& settings, float squares) {
  return ScalarOps::multiply(ScalarOps::square_root(squares), settings.gradient_weight);
}

/// The weight of the gradient that keeps the step within the limit.
LANGRUN_HOST_DEVICE float clipped_weight(const ChainSettings& settings, float magnitude) {
  if (!(settings.max_norm > 0 && magnitude > settings.max_norm)) return settings.gradient_weight;
#if defined(__CUDA_ARCH__)
  return __fmul_rn(settings.gradient_weight, __fdiv_rn(settings.max_norm, magnitude));
#else
  return settings.gradient_weight * (settings.max_norm / magnitude);
#endif
}

/// Thread `thread` of `threads`: the update of its share of a chain's `length` elements. Together the threads leave the
/// bits of langevin_update with the gradient's weight `weight`.
LANGRUN_HOST_DEVICE void move_of_thread(const ChainSettings& settings, std::uint64_t identity, std::uint32_t step,
                                        float weight, const float* gradient, float* x, std::int64_t length, int thread,
                                        int threads) {
  const float noise_weight = settings.noise_weight;
  const auto move = [=](std::int64_t at, float z) {
    x[at] = langevin_step<ScalarOps>(-weight, noise_weight, gradient[at], z, x[at]);
  };
  const std::int64_t blocks = noise_blocks(length);
  for (std::int64_t block = thread; block < blocks; block += threads)
    normals_of_block(settings.key[0], settings.key[1], identity, step, static_cast<std::uint32_t>(block), length, move);
}

}  // namespace langrun
