#include "launch/autoencoder_options.h"

#include "launch/training_options.h"

namespace langrun::launch {

void bind_autoencoder(OptionTable& table, AutoencoderConfig& config) {
  bind_training(table, "autoencoder", config.training);
  table.integer("encoder.width", config.encoder.width, "channels", "base width of encoder32; 0: the paper's, 256",
                {0, 8192});
  bind_generator(table, config.decoder);
  bind_learning(table, "autoencoder", config.learning);
  table.real("latent.noise", config.latent_noise, "",
             "deviation of what is added to latents, on the sphere of radius 16, before they are decoded", {0, 100});
}

}  // namespace langrun::launch
