// What every training job shares: its configuration, what it shows while it runs, and the loop around its step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/settings.h"
#include "data/checkpoint.h"
#include "distributed/communicator.h"
#include "distributed/lanes.h"
#include "jobs/divergence.h"
#include "jobs/fact.h"
#include "jobs/panel_marks.h"
#include "jobs/snapshot.h"
#include "jobs/step_record.h"

namespace langrun {

/// Settings of any training run, from the command line or run.cfg.
struct TrainingConfig {
  std::string job;   ///< the command that runs it: a run.cfg says whose it is
  std::string run;   ///< folder
  std::string data;  ///< image store
  std::int64_t seed = 1;
  std::int64_t steps = 1000;  ///< in all, over all starts
  std::int64_t batch = 128;   ///< global
  std::int64_t lanes = 8;
  std::int64_t threads = 1;        ///< per rank
  std::string device = "auto";     ///< auto, cpu, cuda
  std::string precision = "fp32";  ///< fp32, tf32 (GPUs), bf16: of the networks inside Langevin sampling
  std::string reduction = "tree";  ///< tree, nccl
  bool resume = false;
  bool from_checkpoint = false;  ///< no option: a checkpoint will be loaded, which has what other runs gave
  std::int64_t stop_at = 0;  ///< 0: never
  double stop_after = 0;     ///< seconds, 0: never
  double deadline = 0;       ///< seconds since 1970 at which the job is ended from outside, 0: none
  std::int64_t checkpoint_every = 500;
  std::int64_t checkpoint_keep = 2;
  std::int64_t pictures_every = 500;
  double watchdog_limit = 1800;  ///< seconds, 0: wait for ever
  double straggler_factor = 1.5;  ///< a rank is named that is so much slower than the median, 0: none
  std::int64_t straggler_steps = 20;  ///< for so many steps in a row
  DivergenceConfig divergence;
};

/// Factor of all learning rates in an attempt.
double attempt_rate(const TrainingConfig& config, std::int64_t attempt);

/// How one network learns.
struct LearningConfig {
  OptimizerConfig optimizer;
  double learning_rate = 1e-4;
  std::string drops;          ///< "50000:1e-5,75000:1e-6"
  double average = 0.9999;    ///< decay of the weights' moving average; 0: none is kept
  double max_norm = 0;        ///< clip of each tensor's gradient norm, after the sum over ranks; 0: none
  std::int64_t sgd_from = 0;  ///< steps after which plain SGD takes over; 0: never
  double sgd_rate = 0;        ///< its learning rate, on the loss as the optimiser sees it (divided by T)
};

/// A grid of images for a person to look at.
struct Panel {
  std::string title;  ///< "bank", "samples (average weights)", "data"
  std::int64_t count = 0, channels = 3, height = 0, width = 0;
  std::vector<float> pixels;  ///< [count, H, W, C] in [-1, 1], not clamped
  PanelMarks marks{};         ///< beside the images
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
  /// Something a person should know, in one line.
  virtual void notice(const std::string& text) = 0;
  /// The run goes back to `step`, and on from there as `attempt`; `why` it diverged.
  virtual void rolled_back(std::int64_t step, std::int64_t attempt, const std::string& why) = 0;
};

/// Called now and then by who works alone while other ranks wait, so that they do not take it for lost.
using Pulse = std::function<void()>;

/// One training job as the loop sees it. Constructed on every rank; its constructor may call collectives.
class TrainingJob {
 public:
  virtual ~TrainingJob() = default;
  /// What follows from the configuration: weights, bytes, samples a rank, ... Called on any rank at any time: no
  /// collectives.
  virtual std::vector<Fact> facts() const = 0;
  /// Which course of the run follows: 0, and one more after each rollback. Before `start` or `load`, on every rank.
  virtual void begin_attempt(std::int64_t attempt) = 0;
  /// Starts from nothing: fills banks. On every rank, together.
  virtual void start() = 0;
  /// Training step `step` (the first is 1). On every rank, together. Gives the record but for `step` and the spread of
  /// its timers over ranks, which the loop fills in: timers hold this rank's seconds in `avg` (`seconds_checkpoint`
  /// what the step lost by a snapshot being written, to which the loop adds its own), and `image_steps_per_second` the
  /// number of image-steps of all ranks, which the loop divides by the time they took.
  virtual StepRecord step(std::int64_t step) = 0;
  /// The state as it is now, to be written while the next steps run. On every rank; no collectives. Only one at a time:
  /// the one before was written or given up.
  virtual std::unique_ptr<Snapshot> snapshot() = 0;
  /// Reads the state that any number of ranks saved, in place of the present one. On every rank; no collectives. Throws
  /// Error(input).
  virtual void load(const std::filesystem::path& folder) = 0;
  /// Panels for a person. On rank 0 alone, so no collectives, and from nothing but what rank 0 holds on any number of
  /// ranks: networks, data, lane 0 of a bank. Calls `pulse` every few Langevin steps.
  virtual std::vector<Panel> pictures(const Pulse& pulse) = 0;
};

/// What the loop needs to know of a start that launch prepared.
struct TrainingStart {
  std::string run_cfg;               ///< effective configuration, recorded in checkpoints
  GenerationFolder home;             ///< where its checkpoints are, and which start of this run it is
  std::int64_t from_step = 0;        ///< 0: anew; else the checkpoint to load
  std::function<bool()> stop_asked;  ///< true once a signal asked this rank to stop
  std::vector<std::string> hosts;    ///< by rank
  std::string images;                ///< ImageStore::identity of what is learnt from, recorded in checkpoints
};

/// Runs `job` to `config.steps`, with checkpoints, pictures and records; on every rank. Returns done, or stopped after
/// a checkpoint when a signal, stop_at or stop_after asked. Throws, on all ranks alike, Error(diverged) as
/// DivergenceWatch says and Error(storage) where a checkpoint cannot be written or the run was overtaken by a newer
/// start.
ExitCode train(TrainingJob& job, const TrainingConfig& config, const TrainingStart& start, Communicator& world,
               TrainingObserver& observer);

}  // namespace langrun
