// Settings of the mathematics, as plain numbers and names: what configuration fills in and headers can share without
// LibTorch.
#pragma once

#include <cstdint>
#include <string>

namespace langrun {

/// Which energy, and how wide.
struct EnergyConfig {
  std::string network = "sngan32";         ///< one of energy_names()
  std::int64_t width = 0;                  ///< base width n; 0: the paper's
  bool spectral_norm = false;              ///< biggan only; the papers' program ran without
  std::string attention_gamma = "random";  ///< biggan only: start of gamma, "random" (U(-1.7, 1.7)) or "zero"
};

/// Which generator, and how wide.
struct GeneratorConfig {
  std::string network = "sngan32";  ///< one of generator_names()
  std::int64_t width = 0;           ///< base width n; 0: the paper's
  std::int64_t latent = 128;        ///< length nz of the latent
  double factor = 1;                ///< of its tanh: images in [-factor, factor]; hat energies leave the rest to a residual
};

/// Which encoder of an autoencoder, and how wide.
struct EncoderConfig {
  std::string network = "encoder32";  ///< the only one
  std::int64_t width = 0;             ///< base width n; 0: the paper's, 256
};

/// Which classifier, and how wide.
struct ClassifierConfig {
  std::string network = "resnet20";  ///< one of classifier_names()
  std::int64_t classes = 10;
  std::int64_t width = 0;  ///< channels of the first group; 0: the paper's
  /// Of images inside the network: none, cifar10, imagenet, or auto, the network's usual one.
  std::string normalisation = "auto";
};

/// The Langevin sampler.
struct LangevinConfig {
  std::int64_t steps = 100;   ///< K
  double eta = 1e-2;          ///< step size; the noise is eta z
  double temperature = 1e-4;  ///< T, divides the energy inside the gradient alone
  double max_norm = 0;        ///< per-sample clip: ||grad U / T|| stays under max_norm / (eta^2 / 2); 0: none

  /// Weight of grad U in the update, eta^2 / (2 T).
  double gradient_weight() const { return eta * eta / (2 * temperature); }
};

/// What an energy learns by.
enum class EnergyLoss {
  likelihood,  ///< ( mean U(x+) - mean U(x-) ) / T
  logistic,    ///< mean log(1 + exp(U(x+) / T)) + mean log(1 + exp(-U(x-) / T)): a discriminator D = -U / T
};

/// Langevin on pairs of a latent and a residual (core/pair_langevin.h).
struct PairConfig {
  std::int64_t steps = 100;    ///< K
  double temperature = 1e-4;   ///< T, divides the energy alone
  bool moves_latent = true;    ///< else Z stays
  bool moves_residual = true;  ///< else Y stays
  double latent_eta = 5e-3;    ///< eps_2
  double residual_eta = 1e-4;  ///< eps_1, pixel range [-1, 1]
  double max_norm = 0;         ///< per sample: (eps_1^2/2) ||grad_Y E|| stays under it; 0: none
  bool latent_prior = false;   ///< the term ||Z||^2 / 2
  bool on_sphere = false;      ///< Z goes back to the sphere of radius sqrt(nz) after each move
  double residual_tau = 0;     ///< of the term ||Y||^2 / (2 tau^2), pixel range [-1, 1]; 0: none
};

/// Langevin on a generator's latents, given images.
struct InferenceConfig {
  std::int64_t steps = 10;
  double eta = 0.1;    ///< step size eps; the noise is eps v
  double sigma = 0.3;  ///< of the images about the generator's, pixel range [-1, 1]
};

/// When a drawn slot of a bank starts anew.
struct RejuvenationRule {
  double probability = 0.5;     ///< p
  std::int64_t max_rounds = 2;  ///< w: also when it was updated more often than this; 0: no such limit
};

/// One of LibTorch's optimisers.
struct OptimizerConfig {
  std::string kind = "adam";                          ///< "adam" or "sgd"
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;  ///< adam
  double momentum = 0;                                ///< sgd
  bool nesterov = false;                              ///< sgd with momentum
  double weight_decay = 0;                            ///< times the weights, added to their gradient
};

/// Random shifts of training images: each is padded and cut out again.
struct AugmentConfig {
  std::int64_t crop = 4;  ///< pixels that an image may move by, each way; 0: none
  bool flip = true;       ///< mirror half of them
};

/// Attacks that a classifier is trained on; eps and alpha in /255.
struct AdversarialConfig {
  std::int64_t steps = 0;  ///< of projected gradient ascent; 0: it is trained on images as they are
  double eps = 8;          ///< l_inf radius
  double alpha = 2;        ///< step size
};

}  // namespace langrun
