// Chains that begin with images of the generator that learns beside the energy.
#pragma once

#include "jobs/chain_source.h"
#include "jobs/learner.h"

namespace langrun {

/// Images of the generator as it stands, with the latents they came from.
class LearningSource final : public ChainSource {
 public:
  /// `generator` must outlive it.
  explicit LearningSource(GeneratorLearner& generator) : generator_(generator) {}

  std::int64_t latent_length() const override { return generator_.latent_length(); }
  std::string description() const override { return "the generator"; }
  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) override;
  /// With training-mode batch norm the generator runs on all drawn latents, new and old, and only the new images are
  /// kept: a call of any other shape would give other statistics.
  void renew(FreshChains& chains, const at::Tensor& anew, const std::vector<std::uint64_t>& slots, std::int64_t step,
             NoiseKey key) override;

 private:
  GeneratorLearner& generator_;
};

}  // namespace langrun
