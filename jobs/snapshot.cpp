#include "jobs/snapshot.h"

#include <algorithm>

#include "core/torch.h"
#include "jobs/bank_file.h"
#include "jobs/snapshot_memory.h"

namespace langrun {

SnapshotMemory snapshot_memory(const std::vector<BankLane>& lanes) {
  std::size_t bank = 0, latents = 0, rows = 0;
  for (const auto& lane : lanes) {
    bank += lane.images.nbytes() + lane.latents.nbytes();
    latents = std::max(latents, lane.latents.nbytes());
    rows += static_cast<std::size_t>(lane.rows());
  }
  SnapshotMemory memory{piece_memory(bank), 0};
  // A lane's latents wait until its images are written.
  const auto taken = memory.pieces + latents;
  if (rows > 0 && bank / 10 > taken) memory.spare_rows = static_cast<std::int64_t>((bank / 10 - taken) / (bank / rows));
  return memory;
}

StateSnapshot::StateSnapshot(std::vector<WeightsPart> weights, const std::vector<BankLane>& lanes,
                             std::int64_t first_lane, std::int64_t lane_count, std::vector<std::string> groups)
    : weights_(std::move(weights)), memory_(snapshot_memory(lanes)),
      bank_(std::make_shared<FrozenBank>(lanes, memory_.spare_rows)), groups_(std::move(groups)),
      lanes_(lanes.size() / groups_.size()), first_lane_(first_lane), lane_count_(lane_count) {}

std::vector<CheckpointFile> StateSnapshot::write(const std::filesystem::path& folder,
                                                 const std::function<bool()>& stop) {
  try {
    auto files = write_all(folder, stop);
    bank_->abandon();
    return files;
  } catch (...) {
    // The training thread may wait for this one to come by.
    bank_->abandon();
    throw;
  }
}

std::vector<CheckpointFile> StateSnapshot::write_all(const std::filesystem::path& folder,
                                                     const std::function<bool()>& stop) {
  std::vector<CheckpointFile> files;
  const auto add = [&](const std::string& name, const std::optional<WrittenFile>& file) {
    if (file) files.push_back({name, file->bytes, file->checksum});
    return file.has_value();
  };
  // The bank first: until it is read, rows have to be kept aside.
  for (std::size_t i = 0; i < lanes_; ++i) {
    const auto lane = first_lane_ + static_cast<std::int64_t>(i);
    std::vector<BankGroup> groups;
    for (std::size_t bank = 0; bank < groups_.size(); ++bank) groups.push_back({groups_[bank], bank * lanes_ + i});
    const auto written = write_bank_lane(folder, lane, lane_count_, *bank_, groups, memory_.pieces, stop);
    if (!add(bank_file_name(lane), written)) return {};
  }
  if (weights_.empty()) return files;
  StreamedFile file(folder / "weights.h5");
  for (const auto& part : weights_) add_weights(file, part);
  if (!add("weights.h5", file.write(kMostPieceMemory, stop))) return {};
  return files;
}

}  // namespace langrun
