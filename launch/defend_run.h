// One evaluation in a folder of its own.
#pragma once

#include <filesystem>
#include <map>

#include "jobs/evaluation_record.h"
#include "launch/command.h"
#include "launch/defend_options.h"

namespace langrun::launch {

/// Runs, or goes on with, the evaluation that `asked` says, in asked.run; `asked_table` are the options of this call.
/// `naturals` by image index: natural checks of the same defense, which are taken over. Collective, all ranks. Returns
/// the exit code; `report` says whether the page is written at the end.
int run_evaluation(Call& call, OptionTable& asked_table, DefendOptions& asked,
                   const std::map<std::uint64_t, JudgeCheck>& naturals = {}, bool report = true);

/// Scores RUN/records.h5 again. Rank 0 prints, and writes `options.json` where it is named. Collective.
int rescore(Call& call, const OptionTable& table, const DefendOptions& options);

/// --sweep: one evaluation for each combination of values, RUN/points/NNN, then sweep.json and sweep.csv. Collective.
int run_sweep(Call& call, OptionTable& table, DefendOptions& options);

}  // namespace langrun::launch
