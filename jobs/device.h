// Which device a rank computes on, and the settings that make its arithmetic repeatable.
#pragma once

#include <c10/core/Device.h>

#include "distributed/communicator.h"
#include "jobs/training.h"

namespace langrun {

/// Binds this rank to the device of `--device` (distributed/device_binding.h), sets the number of threads and demands
/// deterministic algorithms. Collective, all ranks, once, before the first tensor. Throws Error(usage) where the device
/// asked for is not there.
c10::Device prepare_device(const TrainingConfig& config, Communicator& world);

/// What multiplies in Langevin sampling, for the start table: "fp32", "bf16 by AMX", "tf32 on cuda:0".
std::string products_of_sampling(const std::string& precision, const c10::Device& device);

}  // namespace langrun
