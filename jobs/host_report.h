// What this host is and gives to this process.
#pragma once

#include <string>
#include <vector>

#include "jobs/doctor_verdicts.h"

namespace langrun {

/// Instruction sets that kernels here are chosen by: "avx2 avx512 bf16 by AMX".
std::string processor_features();
/// Cores that this process may run on.
std::vector<int> allowed_cores();
/// Bytes that are available on this host, or to this process's control group where that has less.
double available_memory();
/// Soft limits, and what is free in /dev/shm.
LimitsReport process_limits();

}  // namespace langrun
