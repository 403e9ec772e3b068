// A prior energy: frozen, trained beforehand, felt by chains beside the energy that learns [LC, Alg. 4].
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "core/chain_sampler.h"
#include "core/images.h"
#include "data/weights_file.h"
#include "distributed/communicator.h"
#include "jobs/energy_training.h"
#include "jobs/weights_source.h"

namespace langrun {

class FrozenPrior {
 public:
  /// Collective, all ranks; nothing that another rank could fail at comes before it. Rank 0 looks for the file of
  /// config.terms.prior. With training.from_checkpoint nobody does: `restore` will follow, and a checkpoint has the
  /// prior's weights. Throws Error(input).
  FrozenPrior(const EnergyTrainingConfig& config, Communicator& world);

  /// Reads it. Throws Error(input) where it cannot be read, takes images of another shape than `image`, or nobody says
  /// its temperature.
  void open(const ImageShape& image);
  /// As open, from part `prior` of a checkpoint.
  void restore(const WeightsFile& file, const ImageShape& image);

  /// Whether `open` or `restore` has found one.
  bool ready() const { return trained_.network != nullptr; }
  /// What a sampler adds for it. Wants it ready.
  SamplingTerms terms(const std::string& precision, const at::Device& device) const;
  /// Adds part `prior`.
  void copy_to(std::vector<WeightsPart>& parts) const;
  /// "sngan32 of runs/prior/checkpoint/00001000/weights.h5, T 0.0001"
  std::string description() const;

 private:
  void take(TrainedEnergy trained, const ImageShape& image, const std::string& where);

  TermsConfig config_;
  std::string file_;  // empty where it is not needed
  std::string where_;
  TrainedEnergy trained_;
};

}  // namespace langrun
