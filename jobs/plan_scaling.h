// How long a step would take on other numbers of ranks: a model of few numbers, each stated.
#pragma once

#include <cstdint>
#include <vector>

namespace langrun {

/// What a step's time follows from. Left out: one rank waiting for another that is slower, and what of the exchange
/// hides behind the backward pass.
struct ScalingModel {
  double gradient_seconds = 0;          ///< of one image's Langevin step on one rank
  double update_seconds = 0;            ///< of one image's updates on one rank
  double chain_steps = 0;               ///< Langevin steps of a training step for each image of the batch
  double weights = 0;                   ///< float32 numbers that ranks add
  double network = 1.25e9;              ///< bytes a second that a rank sends while all do
  double latency = 1e-5;                ///< seconds a message
  double disk = 1e9;                    ///< bytes a second, of all ranks together
  double bank_bytes = 0;                ///< of a checkpoint, for each image of the batch: what grows with it
  double fixed_bytes = 0;               ///< of a checkpoint, on any number of ranks: weights and optimiser
  std::int64_t checkpoint_every = 500;  ///< steps
};

struct StepTime {
  double sample = 0, update = 0, exchange = 0;
  double checkpoint = 0;  ///< a step's share of what a checkpoint keeps training waiting
  double total() const { return sample + update + exchange + checkpoint; }
};

/// One training step on `batch` images over `ranks`.
StepTime step_time(const ScalingModel& model, double batch, std::int64_t ranks);
/// Seconds until a checkpoint is on the disk.
double checkpoint_seconds(const ScalingModel& model, double batch);

struct ScalingPoint {
  std::int64_t ranks = 1;
  double batch = 1;
  StepTime time;
  double steps_a_day = 0;
  double efficiency = 1;  ///< images a second and rank, over those of one rank
};

constexpr std::int64_t kMostRanks = 1024;

/// Ranks 1, 2, 4, ... kMostRanks, each with `batch_a_rank` images.
std::vector<ScalingPoint> weak_scaling(const ScalingModel& model, double batch_a_rank);
/// The same ranks over one batch, of kMostRanks images at least: a lane is one image at least, a rank one lane.
std::vector<ScalingPoint> strong_scaling(const ScalingModel& model, double batch);

/// Bytes a second that a rank must send for the exchange to take no more than `share` of the rest of the step, latency
/// aside.
double network_needed(const ScalingModel& model, double batch, std::int64_t ranks, double share);
/// Bytes a second of all ranks together, for a checkpoint to be written before the next one is due.
double disk_needed(const ScalingModel& model, double batch, std::int64_t ranks);

}  // namespace langrun
