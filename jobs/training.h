// What every training job shares: its configuration, what it shows while it runs, and the loop around its step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/checkpoint.h"
#include "distributed/communicator.h"
#include "distributed/lanes.h"
#include "jobs/step_record.h"

namespace langrun {

/// Settings of any training run, from the command line or run.cfg.
struct TrainingConfig {
  std::string run;   ///< folder
  std::string data;  ///< image store
  std::int64_t seed = 1;
  std::int64_t steps = 1000;  ///< in all, over all starts
  std::int64_t batch = 128;   ///< global
  std::int64_t lanes = 8;
  std::int64_t threads = 1;        ///< per rank
  std::string device = "auto";     ///< auto, cpu, cuda
  std::string precision = "fp32";  ///< fp32, bf16: of the networks inside Langevin sampling
  std::string reduction = "tree";  ///< tree, nccl
  bool resume = false;
  std::int64_t stop_at = 0;  ///< 0: never
  double stop_after = 0;     ///< seconds, 0: never
  std::int64_t checkpoint_every = 500;
  std::int64_t checkpoint_keep = 2;
  std::int64_t pictures_every = 500;
  double watchdog_limit = 1800;  ///< seconds, 0: wait for ever
};

/// A grid of images for a person to look at.
struct Panel {
  std::string title;  ///< "bank", "samples (average weights)", "data"
  std::int64_t count = 0, channels = 3, height = 0, width = 0;
  std::vector<float> pixels;  ///< [count, H, W, C] in [-1, 1], not clamped
};

/// What a job tells the outside. Called on rank 0 alone, from the training thread; may throw Error.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  /// Once, before the first step: steps finished by earlier starts (0 for a new run).
  virtual void begin(std::int64_t finished_steps) = 0;
  virtual void step(const StepRecord& record) = 0;
  virtual void pictures(std::int64_t step, const std::vector<Panel>& panels) = 0;
  /// Before the checkpoint of `step` becomes visible: what the observer wrote up to it must be durable.
  virtual void settle(std::int64_t step) = 0;
};

/// A derived number for the start table.
struct Fact {
  std::string name, value;
};

/// One training job as the loop sees it. All calls are made on every rank, in the same order.
class TrainingJob {
 public:
  virtual ~TrainingJob() = default;
  /// What follows from the configuration: weights, bytes, samples a rank, ...
  virtual std::vector<Fact> facts() const = 0;
  /// Starts from nothing: fills banks. Collective where the job needs other ranks.
  virtual void start() = 0;
  /// Training step `step` (the first is 1). Collective. Gives the record but for `step`, `seconds_checkpoint` and the
  /// spread of its timers over ranks, which the loop fills in: timers hold this rank's seconds in `avg`.
  virtual StepRecord step(std::int64_t step) = 0;
  /// Writes this rank's files into `folder` and names them. Not collective.
  virtual std::vector<std::string> save(const std::filesystem::path& folder) = 0;
  /// Reads the state that any number of ranks saved. Not collective. Throws Error(input).
  virtual void load(const std::filesystem::path& folder) = 0;
  /// Panels for a person, made on rank 0 from lane 0 alone, so that they too are the same on any number of ranks.
  virtual std::vector<Panel> pictures(std::int64_t step) = 0;
};

/// What the loop needs to know of a start that launch prepared.
struct TrainingStart {
  std::string run_cfg;               ///< effective configuration, recorded in checkpoints
  std::int64_t generation = 1;       ///< which start of this run it is
  std::int64_t from_step = 0;        ///< 0: anew; else the checkpoint to load
  std::function<bool()> stop_asked;  ///< true once a signal asked this rank to stop
};

/// Runs `job` to `config.steps`, with checkpoints, pictures and records; on every rank. Returns done, or stopped after
/// a checkpoint when a signal, stop_at or stop_after asked. Throws Error(diverged) on a non-finite record, on all
/// ranks.
ExitCode train(TrainingJob& job, const TrainingConfig& config, const TrainingStart& start, Communicator& world,
               TrainingObserver& observer);

}  // namespace langrun
