// Keyed random numbers (design invariant 2): every number is a pure function of (seed, stream, attempt, identity, step)
// and its place, through Philox 4x32-10. Nothing has a state, so nothing has to be saved, and a chain's path does not
// depend on ranks, on its neighbours in a batch, or on a restart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/noise_key.h"

namespace langrun {

/// Key of `stream` under `seed`; `attempt` counts rollbacks after divergence (0 without one).
NoiseKey noise_key(std::uint64_t seed, Stream stream, std::uint32_t attempt = 0);

/// The 128 bits of one Philox 4x32-10 block. Reference form; the bulk routines below give the same bits faster.
std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter,
                                    const std::array<std::uint32_t, 2>& key);

// What stands where. The run of numbers at a place is made of Philox blocks of four words; block b has the counter
// (b, step, identity low, identity high). Number i of a run is word (i % 64) / 16 of block 16 (i / 64) + i % 16: groups
// of 16 blocks, written word by word, because vector units like it. So number i depends on key, place and i alone, not
// on out.size(). The functions below read the same words: give each use its own stream or place.
// Bits: the same on every processor with IEEE 754 arithmetic, whichever instruction set does the work
// (core/philox.h has the arithmetic). The kernels of core/noise_cuda.h and core/chain_kernels.h are made of the same
// functions and are held to the same bits by tests/gpu, which has not run on a GPU yet. Thread-safe. At most 2^34
// numbers a place; more throws Error(internal).

/// The first out.size() standard normals at `place`, float32. Words 0, 1 of a block give two by Box-Muller, words 2, 3
/// two more: r = sqrt(-2 ln u1), r cos(2 pi u2), r sin(2 pi u2), with u1 of 31 bits in (0, 1] and u2 of 32 bits in
/// [0, 1). |z| <= 6.67; each within 4 ulp of the exact value for its words.
void fill_normal(NoiseKey key, NoisePlace place, std::span<float> out);
/// The first out.size() uniforms in [0, 1), the upper 24 bits of each word.
void fill_uniform(NoiseKey key, NoisePlace place, std::span<float> out);
/// The first out.size() raw 32-bit words.
void fill_bits(NoiseKey key, NoisePlace place, std::span<std::uint32_t> out);

/// One unbiased integer in [0, bound), number `index` at `place` (block `index`, so 2^32 of them). Lemire's
/// multiply-and-reject on 64 bits ("Fast random integer generation in an interval", 2019); a rejected draw walks on
/// through words that belong to this index alone. Throws Error(internal) for bound 0.
std::uint64_t uniform_integer(NoiseKey key, NoisePlace place, std::uint32_t index, std::uint64_t bound);

/// x <- x - gradient_weight * gradient + noise_weight * z in one pass, z as fill_normal gives it, x and gradient of one
/// size in the same element order. Rounding: fma(noise_weight, z, fma(-gradient_weight, gradient, x)).
/// Throws Error(internal) where the sizes differ.
void langevin_update(NoiseKey key, NoisePlace place, float gradient_weight, float noise_weight,
                     std::span<const float> gradient, std::span<float> x);

}  // namespace langrun
