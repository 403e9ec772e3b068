// The table at the start of a job: every setting, and what follows from them.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "jobs/fact.h"
#include "launch/options.h"

namespace langrun::launch {

/// The table as text: a section for each first part of a key ("langevin.steps" stands under "langevin"; keys without a
/// point come first), then the derived numbers. Settings that were given (not defaults) carry a star.
std::string start_table(const OptionTable& options, const std::vector<Fact>& derived);
/// start_table to `out`. Rank 0 alone.
void print_start_table(std::FILE* out, const OptionTable& options, const std::vector<Fact>& derived);

}  // namespace langrun::launch
