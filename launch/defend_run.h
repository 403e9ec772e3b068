// One evaluation in a folder of its own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "jobs/evaluation_record.h"
#include "launch/command.h"
#include "launch/defend_options.h"

namespace langrun::launch {

/// What a point of a sweep takes over from points before it.
struct Inherited {
  std::map<std::uint64_t, JudgeCheck> naturals;          ///< by image index: natural checks of the same defense
  std::map<std::uint64_t, std::vector<float>> purified;  ///< [C, H, W] their pictures, where they were kept; rank 0
  std::filesystem::path energy;  ///< energy.h5 that a new evaluation begins with; empty: what the options name
  std::string inputs;            ///< checksums of evaluation_inputs that it has to agree with; rank 0
};

/// Runs, or goes on with, the evaluation that `asked` says, in asked.run; `asked_table` are the options of this call.
/// With --resume in a sweep's folder that is the sweep. Collective, all ranks. Returns the exit code; `report` says
/// whether the page is written at the end.
int run_evaluation(Call& call, OptionTable& asked_table, DefendOptions& asked, const Inherited& inherited = {},
                   bool report = true);

/// Scores RUN/records.h5 again. Rank 0 prints, and writes `options.json` where it is named. Collective.
int rescore(Call& call, const OptionTable& table, const DefendOptions& options);

/// --sweep: one evaluation for each combination of values, RUN/points/NNN, then sweep.json and sweep.csv. Without
/// --sweep, that of the folder. Collective.
int run_sweep(Call& call, OptionTable& table, DefendOptions& options);

}  // namespace langrun::launch
