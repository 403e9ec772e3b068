// A folder for a benchmark's files, gone when the benchmark is, however it ends.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "distributed/communicator.h"

namespace langrun {

/// A new folder that rank 0 makes and clears away. Benchmarks write gigabytes, and are stopped by signals that leave a
/// program no time: so a process of its own waits for rank 0's end and clears away what is left.
class BenchFolder {
 public:
  /// Within `under`, or, where that is empty, in the system's folder of temporary files (TMPDIR, else /tmp).
  /// Collective, all ranks. Throws Error(storage) where it cannot be made.
  BenchFolder(Communicator& world, const std::string& under);
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  void start_keeper();

  bool owner_;
  std::filesystem::path path_;
  int lifeline_ = -1;  ///< of the keeper: closed by our end, of whatever kind
  pid_t keeper_ = -1;
};

}  // namespace langrun
