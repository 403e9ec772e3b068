// The reduction that `--reduction` asks for.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "distributed/tree_reducer.h"
#include "jobs/training.h"

namespace langrun {

class NcclCommunicator;

/// Makes the reducers of a run; owns the NCCL communicator that those of `--reduction nccl` share, so it outlives them.
class Reduction {
 public:
  /// Collective, all ranks. Throws Error(usage) where nccl is asked for without a GPU, Error(rank) where NCCL does
  /// not start.
  Reduction(const TrainingConfig& config, const c10::Device& device, Communicator& world, const Lanes& lanes);
  ~Reduction();
  /// A reducer of vectors of this many floats, whose collectives are called `name`.
  std::unique_ptr<Reducer> make(std::size_t elements, const std::string& name) const;
  std::int64_t owned_lanes() const { return lanes_.owned; }

 private:
  Communicator& world_;
  Lanes lanes_;
  std::unique_ptr<NcclCommunicator> nccl_;
};

}  // namespace langrun
