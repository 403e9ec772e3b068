// Options of longrun, for the job itself and for what reads a run.cfg of it.
#pragma once

#include "jobs/longrun.h"
#include "launch/options.h"

namespace langrun::launch {

/// Every option of longrun.
void bind_longrun(OptionTable& table, LongrunConfig& config);

}  // namespace langrun::launch
