// The choices of --init.
#pragma once

#include <string>

namespace langrun {

/// Where chains begin.
enum class ChainStart {
  coop_persistent,  ///< bank of (latent, image) pairs, rejuvenated from the generator: the hybrid
  persistent,       ///< bank of images, rejuvenated from uniform noise
  coop,             ///< the generator's images, every step (p = 1, no bank)
  coop_inference,   ///< as coop, and latents are inferred from the chains before the generator learns
  data,             ///< data images, every step
  data_persistent,  ///< bank of images, begun and rejuvenated from data
  noise,            ///< uniform noise, every step
};
/// From "coop-persistent", ...; throws Error(usage) for another word.
ChainStart chain_start(const std::string& name);
/// Whether chains have latents and a generator learns beside the energy.
bool uses_generator(ChainStart start);
/// Whether chains persist in a bank.
bool uses_bank(ChainStart start);

}  // namespace langrun
