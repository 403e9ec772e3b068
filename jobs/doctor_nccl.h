// NCCL between pairs of ranks, each on its GPU.
#pragma once

#include <string>
#include <vector>

#include "distributed/link_probe.h"
#include "jobs/doctor.h"

namespace langrun {

/// Measures pairs as the MPI check does, in fewer rounds, since every pair starts an NCCL of its own. Collective, all
/// ranks, after bind_device gave each a GPU of its own. What fails is a finding.
Finding nccl_verdict(const std::vector<std::string>& hosts, const DoctorConfig& config, LinkProbe& probe,
                     Communicator& world);

}  // namespace langrun
