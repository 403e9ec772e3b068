// Keyed random numbers (design invariant 2): every number is a pure function of (seed, stream, attempt, identity, step)
// and its place, through Philox 4x32-10. Nothing has a state, so nothing has to be saved, and a chain's path does not
// depend on ranks, on its neighbours in a batch, or on a restart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace langrun {

/// What a random number is for. The numbers are part of every run's bits: never renumber.
enum class Stream : std::uint32_t {
  weights = 1,         ///< initial weights
  data_order = 2,      ///< epoch permutations
  bank_draw = 3,       ///< which slots a step draws
  rejuvenation = 4,    ///< which of them are rejuvenated, and their new latents
  langevin = 5,        ///< noise of training chains
  data_noise = 6,      ///< noise added to data
  data_flip = 7,       ///< horizontal flips
  attack_start = 8,
  attack_chain = 9,
  judge_chain = 10,
  crop = 11,           ///< random crops at import
  sample = 12,         ///< latents and chains of `sample` and pictures
  synthetic = 13,      ///< the procedural image set
  bank_fill = 14,      ///< latents and noise a bank starts from
};

/// Key of one stream of one run.
struct NoiseKey {
  std::array<std::uint32_t, 2> words;
};

/// Key of `stream` under `seed`; `attempt` counts rollbacks after divergence (0 without one).
NoiseKey noise_key(std::uint64_t seed, Stream stream, std::uint32_t attempt = 0);

/// The 128 bits of one Philox 4x32-10 block. Reference form; the bulk routines below give the same bits faster.
std::array<std::uint32_t, 4> philox(const std::array<std::uint32_t, 4>& counter, const std::array<std::uint32_t, 2>& key);

/// Place of a run of numbers: an identity (chain, slot, image index, ...) and a step of it.
struct NoisePlace {
  std::uint64_t identity = 0;
  std::uint32_t step = 0;
};

/// Identity of a bank slot's chain in one training step: its noise is independent from step to step.
inline std::uint64_t chain_identity(std::uint64_t slot, std::uint64_t training_step) {
  return slot | (training_step << 32);
}

/// The first out.size() standard normals at `place`: Box-Muller over Philox blocks (counter = number of the block in
/// the run, step, identity low, identity high). Number i depends on key, place and i alone, not on out.size().
/// The same bits on every x86-64 processor, and on a GPU to rounding.
void fill_normal(NoiseKey key, NoisePlace place, std::span<float> out);
/// Uniform in [0, 1), 24 bits.
void fill_uniform(NoiseKey key, NoisePlace place, std::span<float> out);
/// Raw 32-bit words.
void fill_bits(NoiseKey key, NoisePlace place, std::span<std::uint32_t> out);

/// One unbiased integer in [0, bound), number `index` at `place`.
std::uint64_t uniform_integer(NoiseKey key, NoisePlace place, std::uint32_t index, std::uint64_t bound);

/// x <- x - gradient_weight * gradient + noise_weight * z, one pass, z as fill_normal gives it.
void langevin_update(NoiseKey key, NoisePlace place, float gradient_weight, float noise_weight,
                     std::span<const float> gradient, std::span<float> x);

}  // namespace langrun
