// langrun hat
#include "jobs/hat.h"
#include "launch/commands.h"
#include "launch/hat_options.h"
#include "launch/training_command.h"

namespace langrun::launch {
int run_hat(Call& call) {
  TrainingCommand<HatConfig> command{
      "hat", "Trains the energy of a generator's image plus a residual, U(Y, Z) = H(G(Z) + Y) (hat learning).", bind_hat,
      make_hat};
  return run_training(call, command);
}

}  // namespace langrun::launch
