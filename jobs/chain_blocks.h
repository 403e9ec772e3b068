// Chains in blocks of one call each: begun from any source, walked under any energy, put down and taken up again.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
#include "distributed/communicator.h"
#include "jobs/hat_chains.h"
#include "jobs/run_keys.h"
#include "jobs/sample_config.h"
#include "jobs/sample_start.h"
#include "jobs/sampled_energy.h"

namespace langrun {

/// The chains of one call.
struct ChainBlock {
  std::int64_t number = 0;  ///< chains [number * call, (number + 1) * call)
  std::int64_t step = 0;    ///< Langevin steps done
  at::Tensor chains;        ///< [call, C, H, W] float32 channels-last on the device
  Pairs pairs{};            ///< of a hat energy: what `chains` are the images of
  std::vector<double>
      magnitudes;  ///< [call] sums over the steps since they were last cleared of (eta^2/2) ||grad E||_2
};

/// Makes blocks of chains and walks them. A block is a function of (weights, source, seed, number, langevin, call size)
/// alone; blocks are independent of each other.
class ChainBlocks {
 public:
  /// Steps between which a block may be put down: `advance` goes in pieces that end at multiples of this, so that the
  /// sums' bits do not depend on where a walk was interrupted.
  static constexpr std::int64_t kPiece = 10;

  /// Collective, all ranks; without `with_source` chains can only be gone on with. Throws Error(input) where energy or
  /// source cannot be read or do not fit each other, or the source has fewer chains than asked for.
  ChainBlocks(const SampleConfig& config, Communicator& world, bool with_source = true);

  ImageShape image() const { return energy_.image(); }
  const SampledEnergy& energy() const { return energy_; }
  const at::Device& device() const { return device_; }
  /// Chains, and blocks of `call` of them; the last block is a whole one too.
  std::int64_t count() const { return count_; }
  std::int64_t blocks() const { return (count_ + config_.call - 1) / config_.call; }

  /// Block `number` before its first step.
  ChainBlock begin(std::int64_t number);
  /// Numbers of a latent that a block has beside its chains; 0: it has none.
  std::int64_t latent_length();
  /// What has to be kept of a block that is put down, beside step and magnitudes: chains, or residuals and latents.
  static at::Tensor kept(const ChainBlock& block);
  /// A block that was put down: `kept` [call, C, H, W] and latents [call, nz] (of no length without a hat) in host memory.
  ChainBlock take_up(std::int64_t number, std::int64_t step, const at::Tensor& kept, const at::Tensor& latents,
                     const std::vector<double>& magnitudes);
  /// One piece towards step `to`: at most kPiece steps. Throws Error(diverged), naming chain and step, where a chain is
  /// no longer finite.
  void advance(ChainBlock& block, std::int64_t to);
  /// The noise of a block's next step.
  ChainNoise noise(const ChainBlock& block) const;
  /// What moves chains, for other ways to walk.
  ChainSampler& sampler() { return energy_.sampler(); }
  /// U of the network at the chains as they are, [call].
  std::vector<float> energies(const ChainBlock& block);
  /// Root mean squares of the residuals, [call]; empty without a hat.
  std::vector<float> residual_sizes(const ChainBlock& block) const;
  /// What is to be shown of a block: its chains, or a part of its pairs.
  at::Tensor shown(const ChainBlock& block) const;
  /// All that another ChainBlocks needs to go on, as parts of a file of weights.
  std::vector<WeightsPart> parts();
  /// Clamped to [-1, 1] and rounded to 8 bits: [call, H, W, C] uint8 in host memory. Points of the plane as they are,
  /// as the bytes of float32.
  static at::Tensor as_bytes(const at::Tensor& chains);

 private:
  void check_finite(const ChainBlock& block) const;
  std::vector<std::uint64_t> places(std::int64_t number) const;
  ImageFunction generated();
  at::Tensor advance_chains(ChainBlock& block, const LangevinConfig& langevin);
  at::Tensor advance_pairs(ChainBlock& block, const LangevinConfig& langevin);

  const SampleConfig& config_;
  std::unique_ptr<SampleStart> start_;
  at::Device device_;
  RunKeys keys_;
  SampledEnergy energy_;
  std::int64_t count_;
};

}  // namespace langrun
