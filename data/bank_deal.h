// Banks of a checkpoint, dealt out to another number of lanes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/checkpoint.h"

namespace langrun {

/// Reads bank-0.h5 .. bank-(lanes - 1).h5 in `from` and writes as many as `to_lanes` into `to`, durably: slot
/// s = lane + lanes * row of every group keeps its number and all it holds, and comes to lie in lane s mod to_lanes.
/// Nothing where there is no bank. Gives the new files. Throws Error(input) where lanes do not fit each other,
/// Error(storage).
std::vector<CheckpointFile> deal_banks(const std::filesystem::path& from, std::int64_t lanes,
                                       const std::filesystem::path& to, std::int64_t to_lanes);

}  // namespace langrun
