#include "launch/shortrun_options.h"

#include "launch/training_options.h"

namespace langrun::launch {

void bind_shortrun(OptionTable& table, ShortrunConfig& config) {
  bind_training(table, config.training);
  table.choice("init", config.init, {"coop-persistent", "persistent", "coop", "data", "data-persistent", "noise"},
               "where chains begin: bank rejuvenated from the generator, bank from noise, generator, data, bank from "
               "data, noise");
  bind_energy(table, config.energy);
  bind_learning(table, "energy", config.energy_learning);
  bind_generator(table, config.generator);
  bind_learning(table, "generator", config.generator_learning);
  table.choice("generator.batch-norm", config.batch_norm, {"lane", "off"},
               "generator's batch norm in training: statistics of a lane's samples, or mean 0 and variance 1");
  bind_langevin(table, config.langevin);
  table.real("data.noise", config.data_noise, "pixel range [-1, 1]", "standard deviation of the noise added to data",
             {0, 10});
  table.integer("bank.size", config.bank_size, "chains", "slots of the persistent bank, over all lanes",
                {1, 1'000'000'000});
  table.real("bank.rejuvenation", config.rejuvenation.probability, "", "probability that a drawn slot starts anew",
             {0, 1});
  table.integer("bank.max-rounds", config.rejuvenation.max_rounds, "rounds",
                "a slot updated more often than this starts anew; 0: no such limit", {0});
  table.integer("evaluation.steps", config.evaluation_steps, "steps",
                "Langevin steps of pictures and samples; 0: as in training", {0, 100'000'000});
}

}  // namespace langrun::launch
