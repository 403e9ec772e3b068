// report.html: a run on one page. The page is drawn by a Python script that travels inside the program.
#pragma once

#include <filesystem>
#include <optional>

namespace langrun::launch {

/// Writes DIR/report.html, whole or not at all, and returns its path. One rank alone. Needs a Python with matplotlib:
/// the one in the environment variable LANGRUN_PYTHON, else the one found when the program was built.
/// What cannot be read of the run (a damaged line, a missing picture) is said on the page. Throws Error(input) where
/// DIR is no run, or Python or a package of it is missing (the hint names it); Error(storage) where the page cannot be
/// written.
std::filesystem::path render_report(const std::filesystem::path& run_dir);

/// render_report at the end of a job, whose results must not hang on it: a failure becomes one warning on stderr.
std::optional<std::filesystem::path> write_report(const std::filesystem::path& run_dir);

}  // namespace langrun::launch
