// Looks at where a job is to run, before it waits in a queue for a day: hosts, network, run folder, data.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "jobs/doctor_verdicts.h"

namespace langrun {

struct DoctorConfig {
  std::string program;  ///< version and commit, to be the same everywhere
  std::string run;      ///< folder that the run is to have; empty: not looked at
  std::string data;     ///< image store; empty: not looked at
  std::string device = "auto";
  std::int64_t threads = 1;    ///< of a rank
  double limit = 10;           ///< seconds that a rank waits for one answer
  std::int64_t rounds = 63;    ///< of pairs at most: in each, every rank is measured with one other
  double link_bytes = 4e6;     ///< of a large message
  double folder_bytes = 32e6;  ///< that a rank writes
  double memory_needed = 0;    ///< bytes a rank; 0: not known, also below
  FolderNeeds folder;
  double network_needed = 0;  ///< bytes a second that a rank sends
  double read_needed = 0;     ///< bytes a second of images that all ranks read
  DoctorThresholds thresholds;
};

/// Called on every rank with each finding as soon as it is known.
using ShowFinding = std::function<void(const Finding& finding)>;

/// Every check, in turn. Collective, all ranks, with the same configuration but for `program`; all get the same
/// findings. What is wrong with hosts, network, folder or data is a finding and not an error. A rank that never comes
/// ends the program as any collective does, after the communicator's limit. Leaves nothing behind in the folder.
std::vector<Finding> examine(const DoctorConfig& config, Communicator& world, const ShowFinding& show);

}  // namespace langrun
