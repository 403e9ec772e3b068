#include "jobs/reduction.h"

#include <fmt/format.h>

#include "core/error.h"
#ifdef LANGRUN_HAVE_CUDA
#include "distributed/nccl_communicator.h"
#include "distributed/nccl_functions.h"
#include "distributed/nccl_reducer.h"
#else
namespace langrun {
class NcclCommunicator {};
}  // namespace langrun
#endif

namespace langrun {

Reduction::Reduction(const TrainingConfig& config, const c10::Device& device, Communicator& world, const Lanes& lanes)
    : world_(world), lanes_(lanes) {
  if (config.reduction == "tree") return;
  if (!device.is_cuda())
    throw Error(ExitCode::usage, fmt::format("--reduction nccl needs --device cuda, this run is on {}", device.str()),
                "use --reduction tree");
#ifdef LANGRUN_HAVE_CUDA
  nccl_ = std::make_unique<NcclCommunicator>(world, config.watchdog_limit, real_nccl_functions());
#endif
}

// Gives NCCL up rather than finishing it: destructors call no collectives (design invariant 4). No other rank can be in
// one of NCCL's by then, since every step ends with a report of all ranks over MPI.
Reduction::~Reduction() = default;

std::unique_ptr<Reducer> Reduction::make(std::size_t elements, const std::string& name) const {
#ifdef LANGRUN_HAVE_CUDA
  if (nccl_) return std::make_unique<NcclReducer>(*nccl_, lanes_, elements, DeviceSum::nccl, name);
#endif
  return std::make_unique<TreeReducer>(world_, lanes_, elements, name);
}

}  // namespace langrun
