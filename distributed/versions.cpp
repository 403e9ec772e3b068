#include "distributed/versions.h"

#include <dlfcn.h>

namespace langrun {

std::string nccl_library_version() {
  // Asked of what is loaded, so that the answer is right whichever NCCL the loader found, and needs no nccl.h.
  using GetVersion = int (*)(int*);
  const auto get_version = reinterpret_cast<GetVersion>(dlsym(RTLD_DEFAULT, "ncclGetVersion"));
  int code = 0;
  if (get_version == nullptr || get_version(&code) != 0) return {};
  return std::to_string(code / 10000) + "." + std::to_string(code % 10000 / 100) + "." + std::to_string(code % 100);
}

}  // namespace langrun
