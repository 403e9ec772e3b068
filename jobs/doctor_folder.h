// The folder of a run, tried by all ranks at once.
#pragma once

#include <vector>

#include "distributed/communicator.h"
#include "jobs/doctor.h"

namespace langrun {

/// Every rank writes a file of its own, sees what rank 0 renames, and reads another rank's file. Collective, all
/// ranks; throws, on all alike, the error of a rank that could not write or read. Its files are gone afterwards, and so
/// is the folder where it was not there before.
std::vector<Finding> examine_folder(const DoctorConfig& config, Communicator& world);

}  // namespace langrun
