// What an evaluation is made of: data, classifier, energy and the pool of this rank's chains.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "data/image_store.h"
#include "distributed/communicator.h"
#include "jobs/chain_pool.h"
#include "jobs/evaluation_config.h"
#include "jobs/judge_calls.h"
#include "jobs/sampled_energy.h"

namespace langrun {

/// Opened together, and held against each other. A bare evaluation has neither energy nor pool.
class EvaluationNets {
 public:
  /// Collective, all ranks: opens all, and agrees on the shape of calls. Throws Error(usage) or Error(input) for what
  /// does not go together: sizes, classes, images outside the store.
  EvaluationNets(const EvaluationConfig& config, Communicator& world);

  const at::Device& device() const { return device_; }
  const ImageStore& store() const { return *store_; }
  const JudgeFacts& judge() const { return judge_->facts(); }
  JudgeCalls& calls() { return *calls_; }
  /// Null where nothing defends.
  ChainPool* pool() { return pool_ ? &*pool_ : nullptr; }
  /// Rounds of a chain's way; 0 where nothing defends.
  std::int64_t rounds() const { return pool_ ? pool_->rounds() : 0; }
  /// Whether the chains' way is piecewise linear, so that the pathwise gradient is BPDA's.
  bool piecewise_linear() const { return energy_ && energy_->piecewise_linear(); }
  /// Whether chains feel a Gaussian term beside.
  bool gaussian() const { return energy_ && energy_->gaussian(); }
  /// Whether the energy keeps the chains of a call apart, to the bit, on every rank. Where it does not, calls hold one.
  bool energy_place_free() const { return place_free_; }
  /// Langevin steps of a round.
  std::int64_t round_steps() const { return round_steps_; }
  /// Writes the energy with all terms its chains feel to a new file. Throws Error(storage).
  void keep_energy(const std::filesystem::path& path) const;

 private:
  void open(const EvaluationConfig& config);
  void open_energy(const EvaluationConfig& config);
  void make_pool(const EvaluationConfig& config);

  at::Device device_;
  std::optional<ImageStore> store_;
  std::unique_ptr<JudgeNet> judge_;
  std::optional<JudgeCalls> calls_;
  std::optional<SampledEnergy> energy_;
  std::optional<ChainPool> pool_;
  std::int64_t round_steps_ = 1;
  bool place_free_ = true;
};

}  // namespace langrun
