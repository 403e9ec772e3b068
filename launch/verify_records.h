// What a training run has beside its checkpoints, as a resume wants to find it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace langrun::launch {

/// Whether a resume of a training may change the setting: those that its options bind as Keep::changeable.
bool may_change(std::string_view key);

/// What is wrong with run.cfg, provenance.json and metrics.jsonl of a run whose newest good checkpoint is that of
/// `step`, one line each: files that are damaged or gone, steps that have no line, a setting that is not the
/// checkpoint's although a resume may not change it. Touches nothing.
std::vector<std::string> problems_of_records(const std::filesystem::path& run, std::int64_t step);

}  // namespace langrun::launch
