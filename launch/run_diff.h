// Bit-by-bit comparison of two runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace langrun::launch {

/// The first thing in which two runs differ, as one line that names step, tensor and element; nothing where they have
/// the same bits: metrics less timers, weights, optimiser state and banks of the newest checkpoint, and every dataset
/// of other HDF5 files in the run folders. `compared` counts what was looked at. Throws Error(input) where a folder is
/// no run or cannot be read, Error(storage) where its newest checkpoint is damaged.
struct Comparison {
  std::optional<std::string> difference;
  std::int64_t metrics_lines = 0;
  std::int64_t datasets = 0;
};
Comparison compare_runs(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace langrun::launch
