// What a training run would need, without running it: memory a rank by part, what is exchanged and written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/images.h"
#include "distributed/communicator.h"
#include "jobs/autoencoder.h"
#include "jobs/classify.h"
#include "jobs/convergent.h"
#include "jobs/hat.h"
#include "jobs/longrun.h"
#include "jobs/midrun.h"
#include "jobs/shortrun.h"

namespace langrun {

/// Where the run is to be.
struct PlanPlace {
  std::int64_t ranks = 1;
  std::int64_t images = 0;  ///< of the training set, for banks that have one slot for each; 0: not known
  double idle_bytes = 0;    ///< that a starting program's heap has and does not use: later blocks fill it in part alone
  double exit_bytes = 0;    ///< that libraries take for a moment as a program ends, beside what they have
  double measure_seconds = 0;  ///< how long chains are timed; 0: one call
};

/// Part of a rank's memory.
struct MemoryPart {
  std::string name;
  double bytes = 0;
  bool on_gpu = false;  ///< else in host memory
};

/// Names of parts, for who looks one up.
inline constexpr const char* kLibrariesPart = "libraries";
inline constexpr const char* kBankPart = "bank";

struct JobPlan {
  std::string job;
  ImageShape image;
  std::int64_t ranks = 1, lanes = 1, owned = 1;  ///< lanes of all ranks, of each
  std::int64_t batch = 1, lane_batch = 1;
  std::int64_t threads = 1;
  bool gpu = false;
  std::vector<MemoryPart> memory;     ///< of rank 0, which has most: it copies the weights for checkpoints and draws
  double other_ranks_less = 0;        ///< bytes of host memory that the others do without
  double weights = 0;                 ///< numbers that learn, so floats that are exchanged
  double checkpoint_bytes = 0;        ///< of all ranks
  double fixed_checkpoint_bytes = 0;  ///< of that, weights and optimiser
  double rank_checkpoint_bytes = 0;   ///< of rank 0
  std::int64_t checkpoint_every = 0, checkpoint_keep = 1;
  double read_bytes = 0;        ///< of training images a step, all ranks
  double image_steps = 0;       ///< of a step, all ranks; 0 where nothing is sampled
  double chain_images = 0;      ///< images of a step that make these Langevin steps
  double gradient_seconds = 0;  ///< of one image's Langevin step, measured on this machine
  double update_seconds = 0;    ///< of one image's updates, all networks, likewise
  /// Sentences, one for each thing that neither options nor files say: what was taken in its place. Whoever fills in
  /// the settings writes them.
  std::vector<std::string> assumed;

  /// Bytes of host memory, or of a GPU's, that rank 0 has.
  double host_bytes() const;
  double gpu_bytes() const;
  /// Bytes that a rank sends in a step: twice its gradient, less its own share.
  double exchanged_bytes(std::int64_t ranks) const;
};

/// Each builds the job's networks with random weights and computes a few images, to see what they hold. `world` is
/// this process alone. Throw what the job itself would for settings that do not fit each other or the ranks,
/// Error(usage) for a bank of one slot an image where `place.images` is not known, and Error(input) for a generator or
/// a prior that is named and not there. Of a hat whose frozen generator is not named its settings of a generator are
/// taken, untrained.
JobPlan plan_job(const ShortrunConfig& config, const PlanPlace& place, Communicator& world);
JobPlan plan_job(const MidrunConfig& config, const PlanPlace& place, Communicator& world);
JobPlan plan_job(const LongrunConfig& config, const PlanPlace& place, Communicator& world);
JobPlan plan_job(const ConvergentConfig& config, const PlanPlace& place, Communicator& world);
JobPlan plan_job(const HatConfig& config, const PlanPlace& place, Communicator& world);
JobPlan plan_job(const AutoencoderConfig& config, const PlanPlace& place, Communicator& world);
JobPlan plan_job(const ClassifyConfig& config, const PlanPlace& place, Communicator& world);

}  // namespace langrun
