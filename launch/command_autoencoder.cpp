// langrun autoencoder
#include "jobs/autoencoder.h"
#include "launch/commands.h"
#include "launch/training_command.h"
#include "launch/training_options.h"

namespace langrun::launch {
namespace {

void bind(OptionTable& table, AutoencoderConfig& config) {
  bind_training(table, "autoencoder", config.training);
  table.integer("encoder.width", config.encoder.width, "channels", "base width of encoder32; 0: the paper's, 256",
                {0, 8192});
  bind_generator(table, config.decoder);
  bind_learning(table, "autoencoder", config.learning);
  table.real("latent.noise", config.latent_noise, "",
             "deviation of what is added to latents, on the sphere of radius 16, before they are decoded", {0, 100});
}

}  // namespace

int run_autoencoder(Call& call) {
  TrainingCommand<AutoencoderConfig> command{
      "autoencoder",
      "Trains a deterministic autoencoder whose latents lie on a sphere; its decoder is a generator for hat --mode "
      "retrofit.",
      bind, make_autoencoder};
  return run_training(call, command);
}

}  // namespace langrun::launch
