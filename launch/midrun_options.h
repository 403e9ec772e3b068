// Options of midrun, for the job itself and for what reads a run.cfg of it.
#pragma once

#include "jobs/midrun.h"
#include "launch/options.h"

namespace langrun::launch {

/// Every option of midrun.
void bind_midrun(OptionTable& table, MidrunConfig& config);

}  // namespace langrun::launch
