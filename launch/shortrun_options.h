// Options of shortrun, for the job itself and for what reads a run.cfg of it.
#pragma once

#include "jobs/shortrun.h"
#include "launch/options.h"

namespace langrun::launch {

/// Every option of shortrun.
void bind_shortrun(OptionTable& table, ShortrunConfig& config);

}  // namespace langrun::launch
