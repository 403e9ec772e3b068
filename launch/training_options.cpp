#include "launch/training_options.h"

#include "core/networks/names.h"
#include "launch/passed_over.h"

namespace langrun::launch {

void bind_training(OptionTable& table, const std::string& job, TrainingConfig& c) {
  c.job = job;
  table.choice("job", c.job, {job}, "the command that a configuration file is of");
  table.text("run", c.run, "folder of the run; made if it is missing", Keep::transient);
  table.flag("resume", c.resume,
             "go on from the newest good checkpoint in --run; an empty or missing folder starts anew", Keep::transient);
  table.integer("stop-at", c.stop_at, "step", "checkpoint after this step and exit 75; 0: never", {0}, Keep::transient);
  table.real("stop-after", c.stop_after, "seconds", "the same once this much time has passed; 0: never", {0},
             Keep::transient);
  table.real("deadline", c.deadline, "seconds since 1970",
             "when the job is ended from outside: checkpoint and exit 75 early enough before it, by this start's own "
             "longest step and checkpoint; 0: none",
             {0}, Keep::transient);
  table.text("data", c.data, "image store (HDF5, made by `langrun data import` or `data synth`)");
  table.integer("seed", c.seed, "", "seed of every random number of the run", {0});
  table.integer("steps", c.steps, "steps", "training steps in all, over all starts", {1}, Keep::changeable);
  table.integer("batch", c.batch, "images", "global batch, over all lanes", {1, 1 << 20});
  table.integer("lanes", c.lanes, "lanes",
                "parts of batch and banks, a power of two that the rank count divides; part of the mathematics",
                {1, 4096});
  table.integer("threads", c.threads, "threads", "compute threads per rank; part of the bits", {1, 1024});
  table.choice("device", c.device, {"auto", "cpu", "cuda"}, "where to compute; auto: a GPU where there is one");
  table.choice("precision", c.precision, {"fp32", "tf32", "bf16"},
               "of the networks inside Langevin sampling; updates stay fp32");
  table.choice("reduction", c.reduction, {"tree", "nccl"},
               "how gradients are summed: in fixed order, or by ncclAllReduce (GPUs, other bits on other rank counts)");
  table.integer("checkpoint.every", c.checkpoint_every, "steps",
                "a checkpoint after every so many steps; the last step always has one; 0: only then", {0},
                Keep::changeable);
  table.integer("checkpoint.keep", c.checkpoint_keep, "checkpoints", "how many of the newest are kept", {1},
                Keep::changeable);
  table.integer("pictures.every", c.pictures_every, "steps",
                "grids of samples, bank and data after every so many steps; the last step always has one; 0: only then",
                {0});
  table.choice("divergence.action", c.divergence.action, {"stop", "rollback"},
               "what follows a divergence: exit 4, or back to a checkpoint and on with other noise and lower rates",
               Keep::changeable);
  table.real("divergence.bound", c.divergence.bound, "",
             "a run diverges where |energy difference| is beyond it for divergence.steps steps in a row; 0: only by "
             "growth without return, or where a value is not finite",
             {0}, Keep::changeable);
  table.integer("divergence.steps", c.divergence.steps, "steps", "see divergence.bound", {1}, Keep::changeable);
  table.real("divergence.rate", c.divergence.rate, "", "factor of all learning rates at each rollback", {0, 1},
             Keep::changeable);
  table.integer("divergence.limit", c.divergence.limit, "rollbacks", "how often a run is rolled back at most", {0},
                Keep::changeable);
  table.real("watchdog.limit", c.watchdog_limit, "seconds",
             "longest wait in one collective before the run ends with exit 5; 0: for ever", {0}, Keep::changeable);
  table.real("watchdog.straggler", c.straggler_factor, "",
             "a rank whose own work takes so many times the ranks' median is named in the log; 0: none is", {0},
             Keep::changeable);
  table.integer("watchdog.straggler-steps", c.straggler_steps, "steps", "in a row, before it is named", {1},
                Keep::changeable);
}

void bind_energy_training(OptionTable& table, const std::string& job, EnergyTrainingConfig& c) {
  bind_training(table, job, c.training);
  c.passed_over = warn_of_passed_over;
  bind_energy(table, c.energy);
  table.text("energy.start", c.energy_start,
             "a run folder or a file of weights that training begins from (their average where it is kept); empty: "
             "weights drawn from the seed");
  bind_learning(table, "energy", c.energy_learning);
  bind_langevin(table, c.langevin);
  table.real("data.noise", c.data_noise, "pixel range [-1, 1]", "standard deviation of the noise added to data",
             {0, 10});
  table.integer("evaluation.steps", c.evaluation_steps, "steps",
                "Langevin steps of pictures and samples; 0: as in training", {0, 100'000'000});
}

void bind_source(OptionTable& table, SourceConfig& c) {
  c.passed_over = warn_of_passed_over;
  table.text("source.generator", c.generator,
             "frozen generator that chains begin from: a run folder, a file of weights or TorchScript; empty: data");
  table.choice("source.weights", c.weights, {"best", "average", "raw"},
               "of a run or a file of weights: the moving average where it is kept, average, raw");
  table.integer("source.latent", c.latent, "numbers", "TorchScript: length of its latent, z ~ N(0, I) [b, n]",
                {0, 1 << 20});
  table.choice("source.range", c.range, {"-1:1", "0:1"}, "TorchScript: range of its images' values");
}

void bind_tau(OptionTable& table, double& tau, const std::string& help) {
  table.real("langevin.tau", tau, "pixel range [-1, 1]", help, {1e-12, 1e12});
}

void bind_langevin(OptionTable& table, LangevinConfig& c) {
  table.integer("langevin.steps", c.steps, "steps", "K, Langevin steps a training step", {0, 100'000'000});
  table.real("langevin.eta", c.eta, "pixel range [-1, 1]", "step size: the noise is eta z", {1e-12, 1e3});
  table.real("langevin.temperature", c.temperature, "",
             "T, divides the energy in the gradient alone; the gradient's weight is eta^2 / (2 T)", {1e-30, 1e30});
  table.real("langevin.max-norm", c.max_norm, "pixel range [-1, 1]",
             "clip of each sample's (eta^2/2) ||grad U / T||; 0: none", {0});
}

void bind_learning(OptionTable& table, const std::string& section, LearningConfig& c) {
  table.real(section + ".learning-rate", c.learning_rate, "", "learning rate of the first step", {0, 1e3});
  table.text(section + ".drops", c.drops,
             "learning rates from later steps on, STEP:RATE,STEP:RATE; a learning rate of 0 stays 0");
  table.real(section + ".average", c.average, "",
             "decay of the weights' moving average, kept beside the raw ones; 0: none is kept", {0, 0.999999999});
  table.real(section + ".max-gradient", c.max_norm, "",
             "clip of each tensor's gradient norm, after the sum over ranks; 0: none", {0});
  table.choice(section + ".optimizer", c.optimizer.kind, {"adam", "sgd"}, "optimiser");
  table.real(section + ".beta1", c.optimizer.beta1, "", "Adam's first decay", {0, 0.999999999});
  table.real(section + ".beta2", c.optimizer.beta2, "", "Adam's second decay", {0, 0.999999999});
  table.real(section + ".epsilon", c.optimizer.epsilon, "", "Adam's epsilon", {0, 1});
  table.real(section + ".momentum", c.optimizer.momentum, "", "SGD's momentum", {0, 1});
}

void bind_energy(OptionTable& table, EnergyConfig& c) {
  table.choice("energy.network", c.network, energy_names(), "energy");
  table.integer("energy.width", c.width, "channels", "base width n of the energy; 0: the paper's", {0, 8192});
  table.choice("energy.attention-gamma", c.attention_gamma, {"random", "zero"},
               "biggan: start of the attention's gamma");
  table.flag("energy.spectral-norm", c.spectral_norm,
             "biggan: spectral normalisation (the papers' program ran without)");
}

void bind_generator(OptionTable& table, GeneratorConfig& c) {
  table.choice("generator.network", c.network, generator_names(), "generator");
  table.integer("generator.width", c.width, "channels", "base width n of the generator; 0: the paper's", {0, 8192});
  table.integer("generator.latent", c.latent, "numbers", "length nz of the latent", {1, 65536});
  table.real("generator.factor", c.factor, "", "of the generator's tanh: its images are in [-factor, factor]", {1e-6, 1e6});
}

}  // namespace langrun::launch
