// langrun midrun
#include "jobs/midrun.h"
#include "launch/commands.h"
#include "launch/midrun_options.h"
#include "launch/training_command.h"

namespace langrun::launch {
int run_midrun(Call& call) {
  TrainingCommand<MidrunConfig> command{"midrun",
                                        "Trains an energy on a persistent bank that a frozen generator, or data, fills "
                                        "and rejuvenates (midrun learning).",
                                        bind_midrun, make_midrun};
  return run_training(call, command);
}

}  // namespace langrun::launch
