// Signs of life of all ranks, in the folder of a run or beside the file that a job writes.
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

/// The same for a job that makes one result and keeps no run going: OUTPUT.flight, beside what it is to write. It goes
/// with this object, also where an error ends the job; after any other end it stays, until a job with the same output
/// begins.
class OutputWatch {
 public:
  /// Collective, all ranks. `output` empty, or in a folder that is not there yet: nothing is written.
  OutputWatch(Communicator& world, const std::filesystem::path& output);
  /// Local: each rank takes its own away, and the last of them the folder.
  ~OutputWatch();
  OutputWatch(const OutputWatch&) = delete;
  OutputWatch& operator=(const OutputWatch&) = delete;

 private:
  Communicator& world_;
  std::filesystem::path folder_;  // empty: no signs
};

}  // namespace langrun::launch
