// The noise keys of a run, one a stream; the data order has its own in the loader.
#pragma once

#include "core/noise.h"

namespace langrun {

struct RunKeys {
  explicit RunKeys(std::uint64_t seed, std::uint32_t attempt = 0)
      : bank_draw(noise_key(seed, Stream::bank_draw, attempt)),
        rejuvenation(noise_key(seed, Stream::rejuvenation, attempt)),
        langevin(noise_key(seed, Stream::langevin, attempt)), data_noise(noise_key(seed, Stream::data_noise, attempt)),
        sample(noise_key(seed, Stream::sample, attempt)), bank_fill(noise_key(seed, Stream::bank_fill, attempt)),
        inference(noise_key(seed, Stream::inference, attempt)), augment(noise_key(seed, Stream::augment, attempt)),
        adversarial(noise_key(seed, Stream::adversarial, attempt)),
        latent_chain(noise_key(seed, Stream::latent_chain, attempt)),
        residual_start(noise_key(seed, Stream::residual_start, attempt)) {}

  NoiseKey bank_draw, rejuvenation, langevin, data_noise, sample, bank_fill, inference, augment, adversarial,
      latent_chain, residual_start;
};

}  // namespace langrun
