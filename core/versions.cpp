#include "core/versions.h"

#include <torch/headeronly/version.h>
#ifdef LANGRUN_HAVE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace langrun {

std::string torch_version() { return TORCH_VERSION; }

std::string cuda_version() {
#ifdef LANGRUN_HAVE_CUDA
  return std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
#else
  return {};
#endif
}

}  // namespace langrun
