// Calls that only ask: --help, --presets, --dry-run.
#pragma once

#include <string>

#include "launch/command.h"
#include "launch/options.h"

namespace langrun::launch {

/// What a command does with --dry-run: `told` prints the effective options; `left` leaves it to the command.
enum class DryRun { told, left };

/// Answers such a call on rank 0; true, on every rank, where the call is thereby done.
bool answer_questions(const Call& call, const OptionTable& table, const std::string& summary,
                      DryRun dry_run = DryRun::told);

}  // namespace langrun::launch
