#include "launch/hat_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "launch/passed_over.h"
#include "launch/training_options.h"

namespace langrun::launch {
namespace {

/// Why a run does not use an option; empty where it does.
std::string why_unused(const std::string& key, const HatConfig& config) {
  constexpr std::array kOfResiduals{"residual.tau", "residual.start", "evaluation.residual-tau", "langevin.eta",
                                    "langevin.max-norm"};
  const bool synthesis = hat_mode(config.mode) == HatMode::synthesis;
  const auto chains = training_chains(config);
  if (!synthesis && (key == "pairs" || key == "bank.size" || key.starts_with("generator.")))
    return "its generator is frozen, and --source.generator says which";
  if (key == "bank.size" && config.pairs == "current") return "--pairs current keeps no bank";
  if (key == "latent.eta" && !chains.pair.moves_latent) return "its latents stay where they are drawn";
  if (!chains.pair.moves_residual && std::find(kOfResiduals.begin(), kOfResiduals.end(), key) != kOfResiduals.end())
    return "it has no residual, and latents move by --latent.eta";
  if (key == "langevin.steps" && hat_mode(config.mode) == HatMode::ddls && config.evaluation_steps > 0)
    return "its discriminator learns from G(Z), and samples take --evaluation.steps";
  return "";
}

bool named(const std::vector<std::string>& arguments, const std::string& key) {
  return std::any_of(arguments.begin(), arguments.end(),
                     [&](const std::string& word) { return word == "--" + key || word.starts_with("--" + key + "="); });
}

}  // namespace

void bind_hat_chains(OptionTable& table, HatConfig& config) {
  table.choice("mode", config.mode, hat_mode_names(),
               "energy and generator learned together (synthesis); over a frozen generator: latent and residual move "
               "(refine), the same with a prior on the residual (retrofit), the residual alone moves (conditional), "
               "or a discriminator learns and latents move under it and their prior (ddls)");
  table.choice("residual", config.residual, {"on", "off"}, "off: ablation, chains move latents and no residual");
  table.real("residual.tau", config.residual_tau, "pixel range [-1, 1]",
             "of the prior ||Y||^2 / (2 tau^2), which is not divided by T; 0: none; -1: the mode's own, 0.1 in "
             "retrofit and none elsewhere",
             {-1, 1e12});
  table.real("residual.start", config.residual_start, "pixel range [-1, 1]",
             "deviation of the residuals that pictures and samples begin with (in training they begin at 0); -1: the "
             "mode's own, 0.01 in synthesis and retrofit and 0 elsewhere",
             {-1, 1e3});
  table.real("evaluation.residual-tau", config.evaluation_residual_tau, "pixel range [-1, 1]",
             "residual.tau of pictures and samples; -1: as in training", {-1, 1e12});
  table.real("latent.eta", config.latent_eta, "", "step size of latents, where they move", {1e-12, 1e3});
  table.choice("latent.law", config.latent_law, {"auto", "normal", "sphere"},
               "latents are N(0, I), or put on the sphere of radius sqrt(nz), also after each move; auto: sphere in "
               "retrofit, normal elsewhere");
  config.source.passed_over = warn_of_passed_over;
  table.text("source.generator", config.source.generator,
             "the frozen generator: a run that learned one, a file of weights or TorchScript (not with synthesis)");
  table.choice("source.weights", config.source.weights, {"best", "average", "raw"},
               "of a run or a file of weights: the moving average where it is kept, average, raw");
  table.integer("source.latent", config.source.latent, "numbers",
                "TorchScript: length of its latent, z ~ N(0, I) [b, n]", {0, 1 << 20});
  table.choice("source.range", config.source.range, {"-1:1", "0:1"}, "TorchScript: range of its images' values");
}

void bind_hat(OptionTable& table, HatConfig& config) {
  config.langevin.eta = 1e-4;
  config.langevin.max_norm = 2.5;
  config.generator.factor = 2;
  config.data_noise = 1e-3;
  bind_energy_training(table, "hat", config);
  bind_hat_chains(table, config);
  bind_generator(table, config.generator);
  bind_learning(table, "generator", config.generator_learning);
  table.choice("pairs", config.pairs, {"historical", "current"},
               "synthesis: the generator learns from pairs of latent and image drawn from a bank of past ones, or from "
               "those of the step");
  table.integer("bank.size", config.bank_size, "pairs", "synthesis: past pairs that are kept, over all lanes",
                {1, 1'000'000'000});
}

void check_hat_options(const std::vector<std::string>& arguments, const OptionTable& table, const HatConfig& config) {
  check_hat(config);  // what is wrong with a mode as a whole comes first
  for (const auto& option : table.options()) {
    const auto why = named(arguments, option.key) ? why_unused(option.key, config) : "";
    if (!why.empty())
      throw Error(ExitCode::usage,
                  fmt::format("--{} with --mode {}{}, which does not use it: {}", option.key, config.mode,
                              config.residual == "off" ? " --residual off" : "", why),
                  "leave it out");
  }
  if (hat_mode(config.mode) == HatMode::ddls && !table.given("langevin.temperature"))
    throw Error(ExitCode::usage, "--mode ddls needs --langevin.temperature: its discriminator is D = -H / T",
                "1, or use --preset cifar10-ddls-small");
}

}  // namespace langrun::launch
