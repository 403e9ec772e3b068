// A rank's memory over the phases of a step, put together from what its parts need. Nothing is measured here.
#pragma once

#include <cstdint>
#include <vector>

#include "core/images.h"
#include "core/memory_trace.h"
#include "jobs/plan.h"

namespace langrun {

/// Slots of one bank, over all lanes.
struct BankNeeds {
  std::int64_t slots = 0, latent = 0;
};

/// What a rank holds, by how long.
struct RankNeeds {
  ImageShape image;
  std::int64_t ranks = 1, lanes = 1, owned = 1, lane_batch = 1;

  double exit = 0;       ///< more of them as the program ends
  double libraries = 0;  ///< bytes of the program and its libraries, once they have computed
  MemoryUse weights;     ///< with averages, and of networks that do not learn
  MemoryUse optimizer;
  MemoryUse copies;               ///< of both, in a checkpoint
  double sampler = 0;             ///< bytes
  std::vector<double> gradients;  ///< numbers of each network that learns
  std::vector<BankNeeds> banks;

  double sampling_images = 0;  ///< images of a lane's shape that each owned lane holds while chains run
  double update_images = 0;    ///< and while networks learn
  MemoryUse sampling;          ///< beside them, the most while lanes are drawn and chains run
  MemoryUse update;            ///< the most of any network's loss and gradients
  MemoryUse apply;             ///< the most while mean gradients are applied
  std::int64_t pictured = 64;  ///< images of each panel of pictures
  double panels = 4;
  bool pictures_of_chains = true;  ///< else panels alone

  bool gpu = false;
  MemoryUse gpu_sampler;  ///< of calls side by side
};

/// The parts of rank 0 and what the others do without.
struct RankMemory {
  std::vector<MemoryPart> parts;
  double other_ranks_less = 0;
};
RankMemory memory_of(const RankNeeds& needs);

/// Bytes of this rank's lanes of a bank: images, latents, ages.
MemoryUse bank_of_rank(const BankNeeds& bank, const RankNeeds& needs);

}  // namespace langrun
