#include "launch/midrun_options.h"

#include "launch/training_options.h"

namespace langrun::launch {

void bind_midrun(OptionTable& table, MidrunConfig& config) {
  bind_energy_training(table, "midrun", config);
  bind_source(table, config.source);
  table.integer("bank.size", config.bank_size, "chains", "slots of the persistent bank, over all lanes",
                {1, 1'000'000'000});
  table.real("bank.rejuvenation", config.rejuvenation, "",
             "probability that a drawn slot starts anew; 0: never, or as --bank.defense-steps says", {0, 1});
  table.integer("bank.defense-steps", config.defense_steps, "steps",
                "K_def, the mean length of a chain's life: p = K / K_def; 0: --bank.rejuvenation is p",
                {0, 1'000'000'000});
  table.flag("prior", config.prior,
             "train the prior energy of a longrun: its chains feel ||x||^2 / (2 tau^2) too; the loss does not");
  bind_tau(table, config.tau, "standard deviation of the Gaussian term, with --prior");
}

}  // namespace langrun::launch
