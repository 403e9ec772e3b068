#include "launch/shortrun_options.h"

#include "launch/training_options.h"

namespace langrun::launch {

void bind_shortrun(OptionTable& table, ShortrunConfig& config) {
  bind_energy_training(table, "shortrun", config);
  table.choice("init", config.init,
               {"coop-persistent", "persistent", "coop", "coop-inference", "data", "data-persistent", "noise"},
               "where chains begin: bank rejuvenated from the generator, bank from noise, generator, generator whose "
               "latents are inferred before it learns, data, bank from data, noise");
  bind_generator(table, config.generator);
  bind_learning(table, "generator", config.generator_learning);
  table.choice("generator.batch-norm", config.batch_norm, {"lane", "off"},
               "generator's batch norm in training: statistics of a lane's samples, or mean 0 and variance 1");
  table.integer("bank.size", config.bank_size, "chains", "slots of the persistent bank, over all lanes",
                {1, 1'000'000'000});
  table.real("bank.rejuvenation", config.rejuvenation.probability, "", "probability that a drawn slot starts anew",
             {0, 1});
  table.integer("bank.max-rounds", config.rejuvenation.max_rounds, "rounds",
                "a slot updated more often than this starts anew; 0: no such limit", {0});
  table.integer("inference.steps", config.inference.steps, "steps",
                "coop-inference: Langevin steps on latents before the generator's update", {0, 1'000'000});
  table.real("inference.eta", config.inference.eta, "", "coop-inference: their step size", {1e-12, 1e3});
  table.real("inference.sigma", config.inference.sigma, "pixel range [-1, 1]",
             "coop-inference: standard deviation of images about the generator's", {1e-12, 1e3});
}

}  // namespace langrun::launch
