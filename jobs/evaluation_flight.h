// An image in flight: its coroutine, and the replicates it waits for.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "jobs/chain_pool.h"
#include "jobs/image_evaluation.h"

namespace langrun {

/// One replicate of the stage that an image waits for, as every rank knows it.
struct FlightReplicate {
  std::int64_t owner = -1;        ///< rank; -1: waits for a place
  std::int64_t rounds_left = 0;   ///< until its end; of an owned one
  std::unique_ptr<PooledChain> chain;  ///< on its owner

  bool running() const { return owner >= 0 && rounds_left > 0; }
  bool ended() const { return owner >= 0 && rounds_left == 0; }
};

struct Flight {
  std::int64_t number = 0;  ///< place in the order of entry
  ImageRecord record;
  StageChannel channel;
  std::unique_ptr<StageTask> task;
  std::vector<FlightReplicate> replicates;
  bool going_back = false;  ///< chains are on their way back with a gradient

  /// All replicates are at their end.
  bool complete() const {
    for (const auto& replicate : replicates)
      if (!replicate.ended()) return false;
    return true;
  }
};

}  // namespace langrun
