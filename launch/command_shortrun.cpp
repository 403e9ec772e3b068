// langrun shortrun
#include "jobs/shortrun.h"
#include "launch/commands.h"
#include "launch/shortrun_options.h"
#include "launch/training_command.h"

namespace langrun::launch {
int run_shortrun(Call& call) {
  TrainingCommand<ShortrunConfig> command{
      "shortrun",
      "Trains an energy and a generator together on persistent chains (cooperative-persistent shortrun learning).",
      bind_shortrun, make_shortrun};
  return run_training(call, command);
}

}  // namespace langrun::launch
