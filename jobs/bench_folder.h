// A folder for a benchmark's files.
#pragma once

#include <filesystem>

#include "distributed/communicator.h"

namespace langrun {

/// A temporary folder of rank 0's choice (TMPDIR, else /tmp), known to all ranks of a host and gone with rank 0's
/// object.
class BenchFolder {
 public:
  /// Collective, all ranks. Throws Error(storage) where it cannot be made.
  explicit BenchFolder(Communicator& world);
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  bool owner_;
  std::filesystem::path path_;
};

}  // namespace langrun
