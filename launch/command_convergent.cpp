// langrun convergent
#include "jobs/convergent.h"
#include "launch/commands.h"
#include "launch/convergent_options.h"
#include "launch/training_command.h"

namespace langrun::launch {
int run_convergent(Call& call) {
  TrainingCommand<ConvergentConfig> command{
      "convergent",
      "Trains an energy on chains that begin once, from uniform noise, with Adam and then SGD (convergent learning).",
      bind_convergent, make_convergent};
  return run_training(call, command);
}

}  // namespace langrun::launch
