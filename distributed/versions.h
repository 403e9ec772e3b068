// Versions of the communication libraries, for provenance. (MPI's stands with MpiSession.)
#pragma once

#include <string>

namespace langrun {

/// NCCL loaded with LibTorch: "2.30.7"; empty where there is none.
std::string nccl_library_version();

}  // namespace langrun
