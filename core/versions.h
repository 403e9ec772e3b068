// Versions of the numerical libraries, for provenance.
#pragma once

#include <string>

namespace langrun {

/// LibTorch the program was built with: "2.15.0".
std::string torch_version();
/// CUDA runtime the program was built with: "13.2"; empty in a CPU-only build.
std::string cuda_version();

}  // namespace langrun
