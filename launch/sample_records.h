// What a sampling leaves in its folder: stores and grids of listed steps, and chains.h5.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "jobs/sample_folder.h"

namespace langrun::launch {

/// RUN/step-NNNNNNNNN.h5
std::filesystem::path step_store(const std::filesystem::path& run, std::int64_t step);

/// Listed steps that RUN/chains.h5 has, all of whose files are there; none where there is no such file. Throws
/// Error(storage) where it is damaged.
std::vector<std::int64_t> finished_steps(const std::filesystem::path& run);

/// Throws Error(storage), naming the file, where a finished step's store is not what was written, to the last pixel.
/// Reads them whole.
void check_step_stores(const std::filesystem::path& run, const std::vector<std::int64_t>& steps);

/// Writes a listed step's store, then samples/NNNNNNNNN.png of its first 64 images, then chains.h5, each whole or not
/// at all, and a line on stderr every ten seconds.
std::unique_ptr<SampleObserver> make_sample_records(const std::filesystem::path& run, const SampleConfig& config);

}  // namespace langrun::launch
