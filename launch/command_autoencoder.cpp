// langrun autoencoder
#include "jobs/autoencoder.h"
#include "launch/autoencoder_options.h"
#include "launch/commands.h"
#include "launch/training_command.h"

namespace langrun::launch {
int run_autoencoder(Call& call) {
  TrainingCommand<AutoencoderConfig> command{
      "autoencoder",
      "Trains a deterministic autoencoder whose latents lie on a sphere; its decoder is a generator for hat --mode "
      "retrofit.",
      bind_autoencoder, make_autoencoder};
  return run_training(call, command);
}

}  // namespace langrun::launch
