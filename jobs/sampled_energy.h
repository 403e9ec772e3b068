// An energy that is sampled or measured: of a file of weights or untrained, with all terms that its chains feel.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chain_sampler.h"
#include "core/curvature.h"
#include "core/images.h"
#include "data/weights_file.h"
#include "jobs/sample_config.h"
#include "jobs/weights_source.h"

namespace langrun {

/// E(x) = (U(x)/T + U_prior(x)/T_prior) / J + ||x||^2 / (2 tau^2), in weights that stay as they are. The prior is part
/// `prior` of the file, tau an attribute of the part; what the file lacks is no term.
class SampledEnergy {
 public:
  /// Reads the file. Throws Error(input) where it is missing, damaged, no file of weights or lacks the part.
  SampledEnergy(const SampledEnergyConfig& config, const at::Device& device);

  ImageShape image() const;
  /// Its calls are to have the temperature of `temperature()`.
  ChainSampler& sampler() { return *sampler_; }
  /// Of T E(x): what core/curvature.h wants, with (Leaky)ReLUs as `activation` says. Its weight is that of the gradient,
  /// eta^2 / (2 T J).
  CurvatureProduct curvature(const Activation& activation) const;
  /// Whether E is piecewise linear but for its Gaussian term, whose curvature is the same everywhere.
  bool piecewise_linear() const;
  /// Whether chains feel a Gaussian term.
  bool gaussian() const { return energy_.tau > 0; }
  /// Whether what a call of `call` images gives for one of them has bits that depend on this image alone: the gradient,
  /// and where `activation` is given curvature by it. Built-in networks promise it, TorchScript is looked at. Throws
  /// Error(usage) or Error(input) where curvature is wanted of a module that has none.
  bool keeps_places(std::int64_t call, const std::optional<Activation>& activation) const;
  /// T J.
  double temperature() const { return config_.temperature * config_.joint_temperature; }
  /// Parts `energy` and, where there is one, `prior`, with temperatures and tau: all that another SampledEnergy needs.
  std::vector<WeightsPart> parts() const;

 private:
  void read(const WeightsFile& file);
  void open_script(const std::string& path, std::int64_t size);
  void make_sampler(const at::Device& device);
  void add_terms(const at::Device& device);

  SampledEnergyConfig config_;
  TrainedEnergy energy_, prior_;
  std::string script_;  // TorchScript that the energy is; empty: a network of our own
  std::unique_ptr<ChainSampler> sampler_;
};

}  // namespace langrun
