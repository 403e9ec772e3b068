// Names of random numbers: what for, under which key, at which place (core/noise.h draws them).
#pragma once

#include <array>
#include <cstdint>

namespace langrun {

/// What a random number is for. The numbers are part of every run's bits: never renumber.
enum class Stream : std::uint32_t {
  weights = 1,       ///< initial weights
  data_order = 2,    ///< epoch permutations
  bank_draw = 3,     ///< which slots a step draws
  rejuvenation = 4,  ///< which of them are rejuvenated, and their new latents
  langevin = 5,      ///< noise of training chains
  data_noise = 6,    ///< noise added to data
  data_flip = 7,     ///< horizontal flips
  attack_start = 8,
  evaluation_chain = 9,  ///< chains of attacks and judges, apart by their identities (jobs/chain_identity.h)
  crop = 11,       ///< random crops at import
  sample = 12,     ///< latents and chains of `sample` and pictures
  synthetic = 13,  ///< the procedural image set
  bank_fill = 14,  ///< latents and noise a bank starts from
  inference = 15,  ///< Langevin on latents
  augment = 16,          ///< shifts of a classifier's training images
  adversarial = 17,      ///< random starts of attacks in training
  latent_chain = 18,     ///< Langevin on the latents of pairs
  residual_start = 19,   ///< residuals that pairs begin with
  judge_redraw = 20,     ///< which stored replicates a judge is redrawn from
};

/// Key of one stream of one run.
struct NoiseKey {
  std::array<std::uint32_t, 2> words;
};

/// Place of a run of numbers: an identity (chain, slot, image index, ...) and a step of it.
struct NoisePlace {
  std::uint64_t identity = 0;
  std::uint32_t step = 0;
};

/// Identity of a bank slot's chain in one training step: its noise is independent from step to step.
inline std::uint64_t chain_identity(std::uint64_t slot, std::uint64_t training_step) {
  return slot | (training_step << 32);
}

}  // namespace langrun
