// Whether an evaluation or a sampling is whole: they have no checkpoints, and files of their own.
#pragma once

#include <filesystem>

#include "launch/checked_part.h"

namespace langrun::launch {

/// Whether `dir` is an evaluation, a sweep of evaluations or a sampling.
bool has_no_checkpoints(const std::filesystem::path& dir);

/// Reads all that such a folder keeps: an evaluation's journal, records and energy, of a sweep those of every point; a
/// sampling's weights, table of chains, finished steps to the last pixel, and saved blocks. Calls `seen` for each, and
/// changes nothing. Throws Error(input) where run.cfg cannot be read.
void check_folder(const std::filesystem::path& dir, const Seen& seen);

/// The same, with a line on stdout for each part and each problem. Throws Error(storage), naming the first, where there
/// are problems.
void verify_folder(const std::filesystem::path& dir);

}  // namespace langrun::launch
