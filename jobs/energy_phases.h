// The phases that every job which trains an energy on chains has in common: data, sampling, energy update, record.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "jobs/chain_source.h"
#include "jobs/energy_training.h"
#include "jobs/fact.h"
#include "jobs/frozen_prior.h"
#include "jobs/lane_work.h"
#include "jobs/learner.h"
#include "jobs/reduction.h"
#include "jobs/run_keys.h"
#include "jobs/training_data.h"

namespace langrun {

/// Adds the seconds of its life to a timer.
class PhaseTimer {
 public:
  explicit PhaseTimer(double& seconds) : seconds_(seconds) {}
  ~PhaseTimer() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

/// This rank's part of the phases. A step is, for each owned lane in order: `begin_lane`, `sample`; then `finish`,
/// `add_lanes`, `wait`, `update`.
class EnergyPhases {
 public:
  /// A lane's own scalars of a job, summed over lanes by `update`.
  using LaneScalars = std::function<std::vector<float>(const LaneWork& work)>;

  /// Collective, all ranks. `scalars`: how many a lane adds of its own. `config` must outlive it. `prior`: none, or
  /// what config.terms.prior names. Throws Error(usage) where batch, lanes and ranks do not fit, Error(input) where the
  /// store is missing or of another size, or the prior does not fit.
  EnergyPhases(const EnergyTrainingConfig& config, Communicator& world, std::size_t scalars,
               std::unique_ptr<FrozenPrior> prior = nullptr);

  Communicator& world() const { return world_; }
  const Lanes& lanes() const { return lanes_; }
  std::int64_t lane_batch() const { return lane_batch_; }
  const at::Device& device() const { return device_; }
  const Reduction& reduction() const { return reduction_; }
  const RunKeys& keys() const { return keys_; }
  EnergyLearner& energy() { return energy_; }
  const EnergyLearner& energy() const { return energy_; }
  TrainingData& data() { return data_; }

  /// Another course of the same run after a divergence: noise of keys of its own, rates times the configured factor to
  /// the power of `attempt`. Before `load` or the first step.
  void begin_attempt(std::int64_t attempt);
  /// Adds the parts of a checkpoint: the energy and what is needed to sample it, its average, the prior.
  void copy_to(std::vector<WeightsPart>& parts) const;
  /// Takes them back. Throws Error(input).
  void load(const WeightsFile& file);
  /// weights.h5 of a job in which nothing learns but the energy: these, the source and the optimiser; empty on other
  /// ranks than 0.
  std::vector<WeightsPart> parts(const ChainSource& source) const;
  /// Takes it back. Throws Error(input).
  void restore(const WeightsFile& file, ChainSource& source);

  /// An empty piece of work with the lane's data of this step, on the device. Once for each lane and step, the first
  /// lane before any chain of the step runs: it gives the sampler the energy's present weights.
  LaneWork begin_lane(std::int64_t lane, std::int64_t step);
  /// Begins K Langevin steps from work.chains, which may be in host memory; so may work.latents, which follow. On a GPU
  /// the lane is not waited for: the next one is drawn and uploaded, and runs beside it.
  void sample(LaneWork& work, std::int64_t step);
  /// Waits for all lanes begun and takes their chains.
  void finish(std::vector<LaneWork>& work);
  /// Energy gradients of each lane with its scalars. The last begins the exchange: collective, but does not wait.
  void add_lanes(const std::vector<LaneWork>& work, const LaneScalars& scalars);
  /// Collective, all ranks: waits for the exchange.
  void wait();
  /// Mean gradients over lanes, clip, optimiser, average; the record's mathematics. Returns the sums of the lanes' own
  /// scalars. Throws Error(diverged), on all ranks alike.
  std::vector<double> update(std::int64_t step, StepRecord& record);
  /// Timers and rates of the record.
  void account(StepRecord& record, double sample, double update, double exchange);

  /// What follows from these settings, for the start table; `other_weights`: that are exchanged beside the energy's.
  std::vector<Fact> facts(std::int64_t other_weights) const;
  /// Makes the starts [b, C, H, W] of the chains at these places.
  using MakeStarts = std::function<at::Tensor(const std::vector<std::uint64_t>& places)>;
  /// Pictures of chains: after K steps (as for evaluation) under the average weights where they are kept, and at their
  /// start. Places name their noise. On rank 0; calls `pulse` between pieces.
  std::vector<Panel> sample_panels(const MakeStarts& starts, const Pulse& pulse);
  /// Of chains that `source` begins.
  std::vector<Panel> sample_panels(ChainSource& source, const Pulse& pulse);
  /// Images of a panel: 64, or of points of the plane enough for a histogram.
  std::int64_t panel_images() const;

 private:
  const EnergyTrainingConfig& config_;
  Communicator& world_;
  const Lanes lanes_;
  const std::int64_t lane_batch_;
  const at::Device device_;
  const Reduction reduction_;  // before the learner, whose reducer it serves
  RunKeys keys_;
  EnergyLearner energy_;
  TrainingData data_;
  std::unique_ptr<FrozenPrior> prior_;
  std::int64_t step_ = 0;  // under way

  void add_terms();
  at::Tensor evaluate(const at::Tensor& starts, const std::vector<std::uint64_t>& places, const Pulse& pulse);
  LangevinConfig evaluation() const;
};

/// The first images of a batch as a panel; points of the plane as a histogram.
Panel panel_of(const std::string& title, const at::Tensor& images, std::int64_t most);

}  // namespace langrun
