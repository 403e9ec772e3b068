// autoencoder: an encoder and a decoder of images whose latents lie on a sphere [HAT]; its decoder is the generator of
// `hat --mode retrofit`.
#pragma once

#include <memory>

#include "core/settings.h"
#include "distributed/communicator.h"
#include "jobs/training.h"

namespace langrun {

/// Settings of a run, from the command line or run.cfg.
struct AutoencoderConfig {
  TrainingConfig training;
  GeneratorConfig decoder{.network = "decoder32", .width = 0, .latent = 256, .factor = 2};
  EncoderConfig encoder;
  LearningConfig learning;     ///< of both
  double latent_noise = 2e-2;  ///< deviation of what is added to latents before they are decoded
};

/// Builds the job on this rank. Collective, all ranks. Throws Error(usage) where settings do not fit each other,
/// Error(input) where the store is missing or of another size. Touches nothing on disk.
std::unique_ptr<TrainingJob> make_autoencoder(const AutoencoderConfig& config, Communicator& world);

}  // namespace langrun
