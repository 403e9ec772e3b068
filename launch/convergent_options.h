// Options of convergent, for the job itself and for what reads a run.cfg of it.
#pragma once

#include "jobs/convergent.h"
#include "launch/options.h"

namespace langrun::launch {

/// Every option of convergent.
void bind_convergent(OptionTable& table, ConvergentConfig& config);

}  // namespace langrun::launch
