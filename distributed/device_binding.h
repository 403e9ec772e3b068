// Which device a rank computes on: the GPU of its local rank, or the processor.
#pragma once

#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace langrun {

/// Where this rank computes.
struct DeviceBinding {
  bool cuda = false;
  int index = 0;     ///< CUDA device of this rank; 0 on a processor
  std::string name;  ///< "cpu" or the GPU's name, for the start table and provenance.json
};

/// One rank's offer in the choice below.
struct DeviceClaim {
  std::string host;
  std::string gpu;     ///< identity of the GPU it would take; empty where it sees none
  std::string reason;  ///< why it sees none
};

/// True where all ranks compute on GPUs, by what `--device` asked for ("auto", "cpu" or "cuda") and by every rank's
/// claim, in rank order. `auto` takes GPUs where any rank sees one and the processor where none does; it never mixes
/// the two. Throws Error(usage) where a GPU is wanted and a rank has none, and where two ranks would take the same one
/// unless `share_gpus`. Every rank gives the same claims, so every rank gets the same answer.
bool choose_cuda(const std::string& asked, const std::vector<DeviceClaim>& claims, bool share_gpus);

/// Binds this rank to GPU (local rank) mod (GPUs it sees), by cudaSetDevice, which torch follows; or to the processor.
/// Collective, all ranks, once, before the first tensor is made on a device; blocks until all ranks have looked at
/// theirs. Throws as choose_cuda does. With `share_gpus` several ranks may take one GPU, which NCCL does not accept.
/// The CUDA part is compiled and linked; it has not been run on a GPU yet.
DeviceBinding bind_device(Communicator& world, const std::string& asked, bool share_gpus = false);

}  // namespace langrun
