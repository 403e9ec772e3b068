// Checkpoint folders: NNNNNNNN in the `home` of a run's checkpoints, written as NNNNNNNN.partial and renamed once durable.
// The home is RUN/checkpoint.GENERATION, which one start alone can reach (data/generation_folder.h), and RUN/checkpoint a
// link to it. This file knows names, sizes and checksums; what is inside the HDF5 files is the writers' business.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/generation_folder.h"

namespace langrun {

/// What the home of a run's checkpoints is called.
inline constexpr const char* kCheckpointHome = "checkpoint";

/// Where the checkpoints of a run are: of its newest start.
std::filesystem::path checkpoint_home(const std::filesystem::path& run);

struct CheckpointFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string checksum;
};

/// manifest.json, written last: every file of a checkpoint with its size and 128-bit checksum.
struct Manifest {
  static constexpr int kFormat = 1;
  std::int64_t step = 0;
  std::int64_t generation = 0;  ///< which start of the run wrote it
  std::int64_t lanes = 0;
  std::int64_t attempt = 0;   ///< part of every noise key: how often the run was rolled back after divergence
  std::vector<double> watch;  ///< what the watch for divergence had seen
  std::string configuration;  ///< run.cfg as it was
  std::vector<CheckpointFile> files;
  std::string images{};  ///< ImageStore::identity of what the run learns from; empty: of an older langrun, or of none
};

/// "00000042"
std::string checkpoint_name(std::int64_t step);
/// Writes manifest.json durably into `folder`.
void write_manifest(const std::filesystem::path& folder, const Manifest& manifest);
/// Throws Error(input) where manifest.json is missing or malformed.
Manifest read_manifest(const std::filesystem::path& folder);
/// What is wrong with a checkpoint folder, one line each; empty where every listed file has its size and checksum.
/// Nothing is opened through HDF5 before this has passed.
std::vector<std::string> problems_of(const std::filesystem::path& folder);

/// Steps of the checkpoints that were renamed to their final name, rising. Names other than digits are not checkpoints.
std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& home);

/// What is wrong with the folder of checkpoints itself: `latest` names one that is gone, or something that is no folder
/// bears a checkpoint's name.
std::vector<std::string> problems_of_home(const std::filesystem::path& home);

/// The newest checkpoint without a problem; `damaged` names the newer ones that have some, and what is wrong with the
/// home. Nothing where there is no checkpoint. Throws Error(storage) where there are some and all are damaged.
std::optional<std::int64_t> newest_good_checkpoint(const std::filesystem::path& home,
                                                   std::vector<std::string>& damaged);

/// Takes good checkpoints behind `step` away, and what was left half written: a start that goes on from `step` makes them
/// again, with their metrics. Damaged ones stay until then, for a person to look at. Rank 0 alone, in its own home.
void clear_checkpoints_after(const std::filesystem::path& home, std::int64_t step);

/// Makes `step` the newest checkpoint again: moves `latest` to it, and takes later ones out of the way; their folders,
/// under names in .partial, are for the caller to remove. Rank 0 alone. Throws Error(storage).
[[nodiscard]] std::vector<std::filesystem::path> return_to_checkpoint(const std::filesystem::path& home,
                                                                      std::int64_t step);

/// Renames `partial`, a folder in `home`, to NNNNNNNN and moves `latest`; then all but the newest `keep` of those up to
/// `step` are checkpoints no more, and their folders, under names in .partial, are for the caller to remove (which takes
/// a disk its time). `spared`: a step that is not among those, 0: none. Only rank 0, after all ranks agreed that their
/// files are durable. Throws Error(storage), also where a newer start has taken the home.
[[nodiscard]] std::vector<std::filesystem::path> publish_checkpoint(const std::filesystem::path& home,
                                                                    const std::filesystem::path& partial,
                                                                    std::int64_t step, std::int64_t keep,
                                                                    std::int64_t spared = 0);

}  // namespace langrun
