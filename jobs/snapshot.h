// A training job's state at one step, to be written while training goes on.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/frozen_bank.h"
#include "data/checkpoint.h"
#include "data/weights_file.h"

namespace langrun {

/// Made by the training thread at one step; holds what that step left, whatever training does later.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  /// Writes this rank's files into `folder`, makes them durable and names them. Once, on a thread of its own, so no
  /// collectives. Ends early, with nothing to be used, once `stop` says so. Throws Error(storage), naming the file.
  virtual std::vector<CheckpointFile> write(const std::filesystem::path& folder, const std::function<bool()>& stop) = 0;
};

/// Memory that writing a bank in the background may take beside it: a tenth of the rank's own lanes.
struct SnapshotMemory {
  std::size_t pieces = 0;       ///< bytes, of the pieces on their way to the disk
  std::int64_t spare_rows = 0;  ///< rows that may be kept aside
};
SnapshotMemory snapshot_memory(const std::vector<BankLane>& lanes);

/// Weights, copied, and lanes of a bank, copied on write.
class StateSnapshot final : public Snapshot {
 public:
  /// `weights`: parts of weights.h5, owning their values; none where this rank does not write them. `lanes`: this
  /// rank's, neighbours from `first_lane` on, of one bank after another as `groups` names them; `lane_count`: of all
  /// ranks.
  StateSnapshot(std::vector<WeightsPart> weights, const std::vector<BankLane>& lanes, std::int64_t first_lane,
                std::int64_t lane_count, std::vector<std::string> groups = {"bank"});

  /// Where the training thread keeps rows before it changes them, as long as it is there.
  const std::shared_ptr<FrozenBank>& bank() const { return bank_; }
  std::vector<CheckpointFile> write(const std::filesystem::path& folder, const std::function<bool()>& stop) override;

 private:
  std::vector<CheckpointFile> write_all(const std::filesystem::path& folder, const std::function<bool()>& stop);

  std::vector<WeightsPart> weights_;
  SnapshotMemory memory_;
  std::shared_ptr<FrozenBank> bank_;
  std::vector<std::string> groups_;
  std::size_t lanes_;  // of each bank
  std::int64_t first_lane_, lane_count_;
};

}  // namespace langrun
