// report.html: runs on one page. The page is drawn by a Python package (launch/report/) that travels inside the
// program.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

namespace langrun::launch {

/// Writes `out`, whole or not at all, with the runs side by side, and returns its path; where `out` is empty,
/// DIR/report.html of the one run, in place of an older one. One rank alone. A run is a folder with a run.cfg, a
/// metrics.jsonl or a chains.h5. Needs a Python with matplotlib (for chains.h5 also h5py): the one in the environment
/// variable LANGRUN_PYTHON, else the one found when the program was built. What cannot be read of a run (a damaged
/// line, a missing picture) is said on the page. Throws Error(usage) where `out` exists, or is empty and the runs are
/// not one; Error(input) where a folder is no run, or Python or a package of it is missing (the hint names it);
/// Error(storage) where the page cannot be written.
std::filesystem::path render_report(const std::vector<std::filesystem::path>& runs, const std::filesystem::path& out);

/// render_report of one run at the end of a job, whose results must not hang on it: a failure becomes one warning on
/// stderr. Nothing where LANGRUN_REPORT is `off` in the environment.
std::optional<std::filesystem::path> write_report(const std::filesystem::path& run_dir);

}  // namespace langrun::launch
