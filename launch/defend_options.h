// Options of `defend`, and the evaluation they ask for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "distributed/communicator.h"
#include "jobs/evaluation_config.h"
#include "launch/options.h"
#include "launch/sampling.h"

namespace langrun::launch {

struct DefendOptions {
  std::string job = "defend";
  std::string run;
  bool resume = false;
  std::int64_t stop_at = 0;
  double stop_after = 0, deadline = 0, watchdog_limit = 1800;
  std::string images = "all", images_file;
  std::string protocols = "auto", leaving = "on";
  SampleRequest energy;
  EvaluationConfig evaluation;
  std::string rescore, json;  ///< --rescore DIR, --json FILE
  std::string sweep;          ///< key=a,b,c; several are separated by blanks
};

void bind_defend(OptionTable& table, DefendOptions& options);

/// The evaluation that is asked for. Automatic values in `options` (auto, all, -1, run) become those they stand for,
/// and so do values that a kind of attack fixes. `table` says what was given; `kept_energy`: of an evaluation that goes
/// on the energy it began with, else empty. Collective, all ranks. Throws Error(usage) for what does not go together,
/// Error(input) where a file is missing.
EvaluationConfig resolve_defend(Communicator& world, DefendOptions& options, const OptionTable& table,
                                const std::filesystem::path& kept_energy);

/// What one option means for others: values that the kind of attack fixes, and --images-file, which stands before a
/// preset's range. Throws Error(usage) where another value was asked for.
void settle_defend(DefendOptions& options, const OptionTable& table);

/// Checks of options alone, before any file is looked at.
void check_defend(DefendOptions& options, const OptionTable& table);

}  // namespace langrun::launch
