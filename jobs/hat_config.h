// Settings of hat energies: U(Y, Z) = H(G(Z) + Y), the energy of a generator's image plus a residual [HAT].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/weights_file.h"
#include "jobs/energy_training.h"
#include "jobs/source_config.h"

namespace langrun {

enum class HatMode {
  synthesis,    ///< energy and generator learned together; chains move residuals at fixed latents
  refine,       ///< frozen generator; chains move latent and residual in turn
  retrofit,     ///< the same over an autoencoder's decoder, with a Gaussian prior on the residual
  conditional,  ///< frozen generator; chains move residuals at latents drawn once
  ddls,         ///< baseline: a discriminator of a frozen generator, whose latents alone move under it and their prior
};

/// Names of the modes, for options.
std::vector<std::string> hat_mode_names();
/// Throws Error(internal) for another name: options know them.
HatMode hat_mode(const std::string& name);

/// Settings of a hat run, from the command line or run.cfg.
struct HatConfig : EnergyTrainingConfig {
  std::string mode = "synthesis";
  GeneratorConfig generator;            ///< synthesis
  LearningConfig generator_learning;    ///< synthesis
  std::string pairs = "historical";     ///< synthesis: what the generator learns from, "historical" or "current"
  std::int64_t bank_size = 10000;       ///< synthesis with historical pairs: slots, over all lanes
  SourceConfig source;                  ///< other modes
  std::string residual = "on";          ///< "off": ablation, latents move in its place
  double residual_tau = -1;             ///< of ||Y||^2 / (2 tau^2); 0: none, -1: the mode's own
  double residual_start = -1;           ///< deviation of Y0 in evaluation; -1: the mode's own
  double evaluation_residual_tau = -1;  ///< -1: as in training
  double latent_eta = 5e-3;             ///< eps_2
  std::string latent_law = "auto";      ///< of p0: "normal", "sphere", or the mode's own
};

/// What the settings come to, whoever runs the chains.
struct HatChainConfig {
  PairConfig pair;
  bool sphere = false;        ///< latents are on the sphere of radius sqrt(nz)
  double residual_start = 0;  ///< deviation of Y0

  /// Chains that are ordinary ones on X = G(Z) + Y: latents stay, and nothing but H acts on Y.
  bool plain() const { return !pair.moves_latent && pair.moves_residual && pair.residual_tau <= 0; }
};

/// All but what `sample` has options for (steps, residual step, temperature, clip), as attributes of a file of weights,
/// and back. Throws Error(input), naming `where`, for values that are none.
WeightFacts facts_of(const HatChainConfig& config);
HatChainConfig hat_chain_config(const WeightFacts& facts, const std::string& where);

/// Chains in training: Y0 = 0.
HatChainConfig training_chains(const HatConfig& config);
/// Chains of pictures and samples: evaluation.steps of them, Y0 small noise, no clipping.
HatChainConfig evaluation_chains(const HatConfig& config);

/// Images of a lane's shape that a rank holds through a step.
struct HatImages {
  std::int64_t each_lane = 3;  ///< of every lane it owns: data, G(Z), what chains became, past pairs where there are
  std::int64_t moving = 0;     ///< of the one lane whose pairs move: a residual, a sum and a slope
};
HatImages hat_images(const HatConfig& config);

/// Throws Error(usage) where a mode is given what another needs.
void check_hat_mode(const HatConfig& config);
/// The same, and where a mode lacks the frozen generator that it needs.
void check_hat(const HatConfig& config);

}  // namespace langrun
