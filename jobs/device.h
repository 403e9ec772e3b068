// Which device a rank computes on, and the settings that make its arithmetic repeatable.
#pragma once

#include <c10/core/Device.h>

#include "distributed/communicator.h"
#include "jobs/training.h"

namespace langrun {

/// Picks the device of `--device`: with `auto` a GPU where there is one for this local rank, else the CPU. Sets the
/// number of threads and demands deterministic algorithms. Throws Error(usage) where the device or the precision asked
/// for is not there.
c10::Device bind_device(const TrainingConfig& config, Communicator& world);

}  // namespace langrun
