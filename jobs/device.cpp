#include "jobs/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include "distributed/device_binding.h"

namespace langrun {

c10::Device prepare_device(const TrainingConfig& config, Communicator& world) {
  at::set_num_threads(static_cast<int>(config.threads));
  // Same bits on every run: no algorithm that adds in the order threads happen to arrive, none chosen by timing.
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setBenchmarkCuDNN(false);
  // Deterministic mode would also fill every new tensor with NaN, for nothing: what we read we have written.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  const auto binding = bind_device(world, config.device);
  if (!binding.cuda) return {c10::DeviceType::CPU};
  return {c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(binding.index)};
}

}  // namespace langrun
