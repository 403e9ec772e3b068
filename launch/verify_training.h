// Whether a training run is whole: its checkpoints, and what a resume wants to find beside them.
#pragma once

#include <filesystem>
#include <string_view>

namespace langrun::launch {

/// Whether a resume of a training may change the setting: those that its options bind as Keep::changeable.
bool may_change(std::string_view key);

/// Checks every file of every checkpoint against its manifest; of run.cfg, provenance.json and metrics.jsonl whether a
/// resume would take them, and whether each step up to the newest good checkpoint has its line. A line on stdout for
/// the folder of checkpoints, for each of them, for the records, and for each problem; touches nothing. Throws
/// Error(storage), naming the first, where there are problems, or no checkpoint.
void verify_training(const std::filesystem::path& dir);

}  // namespace langrun::launch
