// langrun longrun
#include "jobs/longrun.h"
#include "launch/commands.h"
#include "launch/longrun_options.h"
#include "launch/training_command.h"

namespace langrun::launch {
int run_longrun(Call& call) {
  TrainingCommand<LongrunConfig> command{
      "longrun",
      "Trains an energy on chains that age in a burn-in bank and retire into an update bank (longrun learning).",
      bind_longrun, make_longrun};
  return run_training(call, command);
}

}  // namespace langrun::launch
