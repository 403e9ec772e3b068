// What launch/provenance.cpp asks of libraries that are not linked here. Reading a history never calls these.
#include "core/versions.h"
#include "data/hdf5.h"
#include "distributed/communicator.h"
#include "distributed/versions.h"
#include "launch/version.h"

namespace langrun {

std::string torch_version() { return ""; }
std::string cuda_version() { return ""; }
std::string nccl_library_version() { return ""; }
std::string mpi_library_version() { return ""; }

namespace h5 {
std::string library_version() { return ""; }
}  // namespace h5

namespace launch {
const char* version() { return ""; }
const char* commit() { return ""; }
}  // namespace launch

}  // namespace langrun
