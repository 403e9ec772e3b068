#include "jobs/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/cuda.h>

#include "core/error.h"

namespace langrun {

c10::Device bind_device(const TrainingConfig& config, Communicator& world) {
  at::set_num_threads(static_cast<int>(config.threads));
  // Same bits on every run: no algorithm that adds in the order threads happen to arrive, none chosen by timing.
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setBenchmarkCuDNN(false);
  const auto gpus = static_cast<int>(torch::cuda::device_count());
  if (config.device == "cpu" || (config.device == "auto" && gpus == 0)) return {c10::DeviceType::CPU};
  if (gpus == 0) throw Error(ExitCode::usage, "--device cuda, but this host has no usable GPU", "use --device cpu or auto");
  if (world.local_rank() >= gpus)
    throw Error(ExitCode::usage, fmt::format("rank {} is number {} on its host, which has {} GPUs", world.rank(), world.local_rank(), gpus),
                "start as many ranks a host as it has GPUs");
  return {c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(world.local_rank())};
}

}  // namespace langrun
