#include "jobs/hat_config.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "core/error.h"
#include "jobs/fact_reader.h"

namespace langrun {
namespace {

constexpr std::array kModes{std::pair{"synthesis", HatMode::synthesis}, std::pair{"refine", HatMode::refine},
                            std::pair{"retrofit", HatMode::retrofit}, std::pair{"conditional", HatMode::conditional},
                            std::pair{"ddls", HatMode::ddls}};

// The modes' own values [HAT].
constexpr double kRetrofitTau = 0.1, kResidualStart = 0.01;

bool moves_residual(const HatConfig& config) {
  return config.residual == "on" && hat_mode(config.mode) != HatMode::ddls;
}

bool moves_latent(const HatConfig& config) {
  const auto mode = hat_mode(config.mode);
  if (mode == HatMode::refine || mode == HatMode::retrofit || mode == HatMode::ddls) return true;
  return config.residual == "off";
}

double residual_tau(const HatConfig& config) {
  if (config.residual_tau >= 0) return config.residual_tau;
  return hat_mode(config.mode) == HatMode::retrofit ? kRetrofitTau : 0;
}

double residual_start(const HatConfig& config) {
  if (!moves_residual(config)) return 0;
  if (config.residual_start >= 0) return config.residual_start;
  const auto mode = hat_mode(config.mode);
  return mode == HatMode::synthesis || mode == HatMode::retrofit ? kResidualStart : 0;
}

}  // namespace

std::vector<std::string> hat_mode_names() {
  std::vector<std::string> names;
  for (const auto& [name, mode] : kModes) names.emplace_back(name);
  return names;
}

HatMode hat_mode(const std::string& name) {
  for (const auto& [known, mode] : kModes)
    if (name == known) return mode;
  throw Error(ExitCode::internal, fmt::format("no mode of hat is called '{}'", name));
}

HatChainConfig training_chains(const HatConfig& config) {
  HatChainConfig chains;
  auto& pair = chains.pair;
  pair.steps = config.langevin.steps;
  pair.temperature = config.langevin.temperature;
  pair.moves_latent = moves_latent(config);
  pair.moves_residual = moves_residual(config);
  pair.latent_eta = config.latent_eta;
  pair.residual_eta = config.langevin.eta;
  pair.max_norm = config.langevin.max_norm;
  pair.latent_prior = hat_mode(config.mode) == HatMode::ddls;
  pair.residual_tau = pair.moves_residual ? residual_tau(config) : 0;
  chains.sphere =
      config.latent_law == "sphere" || (config.latent_law == "auto" && hat_mode(config.mode) == HatMode::retrofit);
  pair.on_sphere = chains.sphere;
  return chains;
}

HatChainConfig evaluation_chains(const HatConfig& config) {
  auto chains = training_chains(config);
  if (config.evaluation_steps > 0) chains.pair.steps = config.evaluation_steps;
  chains.pair.max_norm = 0;
  if (config.evaluation_residual_tau >= 0 && chains.pair.moves_residual)
    chains.pair.residual_tau = config.evaluation_residual_tau;
  chains.residual_start = residual_start(config);
  return chains;
}

WeightFacts facts_of(const HatChainConfig& config) {
  const auto flag = [](bool value) { return std::string(value ? "true" : "false"); };
  const auto real = [](double value) { return fmt::format("{}", value); };
  const auto& pair = config.pair;
  return {{"moves_latent", flag(pair.moves_latent)}, {"moves_residual", flag(pair.moves_residual)},
          {"latent_eta", real(pair.latent_eta)},     {"latent_prior", flag(pair.latent_prior)},
          {"residual_tau", real(pair.residual_tau)}, {"residual_start", real(config.residual_start)},
          {"latent_sphere", flag(config.sphere)}};
}

HatChainConfig hat_chain_config(const WeightFacts& facts, const std::string& where) {
  HatChainConfig config;
  const FactReader reader(facts, where);
  reader.flag("moves_latent", config.pair.moves_latent);
  reader.flag("moves_residual", config.pair.moves_residual);
  reader.real("latent_eta", config.pair.latent_eta);
  reader.flag("latent_prior", config.pair.latent_prior);
  reader.real("residual_tau", config.pair.residual_tau);
  reader.real("residual_start", config.residual_start);
  reader.flag("latent_sphere", config.sphere);
  config.pair.on_sphere = config.sphere;
  return config;
}

HatImages hat_images(const HatConfig& config) {
  const bool past = hat_mode(config.mode) == HatMode::synthesis && config.pairs == "historical";
  return {past ? 4 : 3, training_chains(config).plain() ? 0 : 3};
}

void check_hat_mode(const HatConfig& config) {
  if (hat_mode(config.mode) == HatMode::synthesis && !config.source.generator.empty())
    throw Error(ExitCode::usage, "--mode synthesis learns a generator, --source.generator names a frozen one",
                "leave it out, or use --mode refine");
  if (config.mode == "ddls" && config.residual == "off")
    throw Error(ExitCode::usage, "--residual off with --mode ddls, which has no residual", "leave it out");
  if (config.mode == "conditional" && config.residual == "off")
    throw Error(ExitCode::usage, "--residual off with --mode conditional leaves nothing that moves", "leave it out");
}

void check_hat(const HatConfig& config) {
  if (hat_mode(config.mode) != HatMode::synthesis && config.source.generator.empty())
    throw Error(ExitCode::usage,
                fmt::format("--mode {} needs a frozen generator: --source.generator is missing", config.mode),
                config.mode == "retrofit" ? "name a run of `langrun autoencoder`, a file of weights, or TorchScript"
                                          : "name a run that learned one, a file of weights, or TorchScript");
  check_hat_mode(config);
}

}  // namespace langrun
