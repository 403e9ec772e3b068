// Ranks that were started with different options, configuration files or programs.
#pragma once

#include "distributed/communicator.h"
#include "launch/options.h"

namespace langrun::launch {

enum class Versions { compared, left };  ///< whether the program's version and commit have to be the same as well

/// Throws Error(usage) on every rank where the options of some rank are not those of rank 0: each reads its own words
/// and its own --config file, and ranks that differ would work together all the same, on what no file tells.
/// Collective, all ranks.
void refuse_unequal_ranks(Communicator& world, const OptionTable& table, Versions versions = Versions::compared);

}  // namespace langrun::launch
