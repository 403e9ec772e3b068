// How far a run is, as `run status DIR --json` says it: for scripts that start runs again, and ask whether that helped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace langrun::launch {

/// What can be seen of a folder without reading more than names, the metrics and the records. Whether a program is
/// at work in it cannot.
struct RunStatus {
  std::string kind;             ///< "training", "evaluation", "sampling", "sweep" (of evaluations), or "other"
  std::string job;              ///< the command, as run.cfg has it; "defend" of a sweep
  bool done = false;            ///< nothing is left to do, whatever --resume says
  std::int64_t generation = 0;  ///< starts so far; 0: nothing was recorded

  std::optional<std::int64_t> step, steps;  ///< training: recorded steps, and all. Sampling: of the listed ones
  std::int64_t attempt = 0;                 ///< training: rollbacks so far, of the newest record
  std::vector<std::int64_t> checkpoints;    ///< training: steps of the published checkpoints, rising
  std::optional<std::int64_t> images, images_in_all;  ///< evaluation and sweep: finished, and all where it is known
  std::optional<std::int64_t> chain_steps;  ///< sampling: Langevin steps of its saved blocks, and 1 for each begun

  /// Changes whenever something was finished that outlasts a kill, and never otherwise: the newest checkpoint's step,
  /// the number of finished images, the steps of saved chains.
  std::string progress() const;
};

/// Looks at a folder and touches nothing. Checkpoints are those with a name: files are not read (`run verify` does).
/// Throws Error(input) where `dir` is not the folder of a run or of a sweep.
RunStatus status_of(const std::filesystem::path& dir);

/// One JSON object on one line: run, kind, job, state ("done" or "unfinished"), generation, step, steps, attempt,
/// checkpoint (the newest), checkpoints, images, images_in_all, chain_steps, progress; null where a kind has no such.
std::string status_json(const std::filesystem::path& dir, const RunStatus& status);

}  // namespace langrun::launch
