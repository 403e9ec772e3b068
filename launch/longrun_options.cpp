#include "launch/longrun_options.h"

#include "launch/training_options.h"

namespace langrun::launch {

void bind_longrun(OptionTable& table, LongrunConfig& config) {
  config.terms.tau = 0.15;
  bind_energy_training(table, "longrun", config);
  bind_source(table, config.source);
  bind_tau(table, config.terms.tau, "standard deviation of the Gaussian term ||x||^2 / (2 tau^2), in sampling alone");
  table.text("prior.energy", config.terms.prior,
             "frozen prior energy: a run of `midrun --prior`, or a file of weights; empty: none");
  table.choice("prior.weights", config.terms.prior_weights, {"best", "average", "raw"},
               "of it: the moving average where it is kept, average, raw");
  table.real("prior.temperature", config.terms.prior_temperature, "",
             "T_prior, divides its energy; 0: the one that it was trained with", {0, 1e30});
  table.integer("bank.size", config.update_size, "chains", "slots of the update bank, over all lanes",
                {1, 1'000'000'000});
  table.integer("burn-in.size", config.burn_in_size, "chains", "slots of the burn-in bank, over all lanes",
                {1, 1'000'000'000});
  table.integer("burn-in.rounds", config.burn_in_rounds, "rounds",
                "D, rounds of K steps after which a chain of the burn-in bank retires into the update bank",
                {1, 1'000'000'000});
  table.real("evaluation.joint-temperature", config.terms.joint_temperature, "",
             "divides U/T + U_prior/T_prior in pictures and samples", {1e-6, 1e6});
}

}  // namespace langrun::launch
