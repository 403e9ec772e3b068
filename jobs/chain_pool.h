// This rank's chains of an evaluation: chains of different images at different steps, packed into calls of one shape.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/chain_sampler.h"
#include "core/curvature.h"
#include "jobs/pool_counts.h"

namespace langrun {

/// One chain, on its way from an image to its K-th step, and back where a gradient goes through it.
struct PooledChain {
  std::uint64_t identity = 0;  ///< of its noise
  at::Tensor x;                ///< [1, C, H, W] float32 channels-last, after `step` steps
  std::int64_t step = 0;
  bool pathwise = false;          ///< whether its way is remembered
  std::vector<at::Tensor> trail;  ///< its states at the start of each round, where it is
  at::Tensor cotangent;           ///< [1, C, H, W] once it goes back: d loss / d state at trail.size() rounds
  float first_energy = 0, last_energy = 0;
  std::size_t judged = 0;  ///< its number among the images of the classifier's last calls
};

struct ChainPoolConfig {
  LangevinConfig langevin;
  NoiseKey key{};
  std::int64_t call = 16;   ///< chains a call; part of the bits
  std::int64_t round = 25;  ///< steps a round
};

/// Steps that a round makes of K, so that chains begin and end at the ends of rounds: about `about`, at most 64, with
/// few places that wait because the rounds do not divide K.
std::int64_t steps_of_round(std::int64_t steps, std::int64_t about);

/// Moves chains by rounds. A chain's bits depend on its start, its identity and the shape of calls alone (design
/// invariant 2, and the energies' promise about places), so who shares a call with whom is nobody's business.
class ChainPool {
 public:
  ChainPool(ChainSampler& sampler, CurvatureProduct curvature, const ChainPoolConfig& config);

  /// One round of every chain: those with a cotangent go back, the others on. Chains to go on have steps left.
  void advance(const std::vector<PooledChain*>& chains);
  /// Rounds from the first step to the last.
  std::int64_t rounds() const;
  const PoolCounts& counts() const { return counts_; }

 private:
  using Pack = std::vector<PooledChain*>;
  std::vector<Pack> packs(const std::vector<PooledChain*>& chains) const;
  void forwards(const std::vector<Pack>& packs);
  void backwards(const Pack& pack);
  ChainNoise noise_of(const Pack& pack) const;
  at::Tensor stacked(const Pack& pack, at::Tensor PooledChain::*field) const;
  std::vector<at::Tensor> replayed(const Pack& pack, const std::vector<std::int64_t>& starts, std::int64_t steps);

  ChainSampler& sampler_;
  CurvatureProduct curvature_;
  ChainPoolConfig config_;
  PoolCounts counts_;
};

}  // namespace langrun
