// Signs of life of all ranks in the folder of a run.
#pragma once

#include <cstdint>
#include <filesystem>

#include "distributed/communicator.h"

namespace langrun::launch {

/// RUN/flight.GENERATION: the flight recorder of every rank while this start runs. After an orderly end the folder is
/// gone; after any other it stays, until the start after the next.
class RunWatch {
 public:
  /// Collective, all ranks, once `generation` is this start's. Throws Error(storage).
  RunWatch(Communicator& world, const std::filesystem::path& run, std::int64_t generation);
  /// The orderly end. Collective, all ranks.
  void end();

 private:
  Communicator& world_;
  std::filesystem::path folder_;
};

}  // namespace langrun::launch
