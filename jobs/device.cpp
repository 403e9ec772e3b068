#include "jobs/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <cstdlib>

#include "core/tiles/engine.h"
#include "distributed/device_binding.h"

namespace langrun {

c10::Device prepare_device(const TrainingConfig& config, Communicator& world) {
  at::set_num_threads(static_cast<int>(config.threads));
  // Same bits on every run: no algorithm that adds in the order threads happen to arrive, none chosen by timing.
  at::globalContext().setDeterministicAlgorithms(true, false);
  at::globalContext().setBenchmarkCuDNN(false);
  // Deterministic mode would also fill every new tensor with NaN, for nothing: what we read we have written.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  // fp32 means fp32: TensorFloat-32 keeps ten bits of a factor.
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  // cuBLAS sums in another order in a workspace of another size; it reads this when it is first used.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  // Ranks may share a GPU, except under NCCL.
  const auto binding = bind_device(world, config.device, config.reduction == "tree");
  if (!binding.cuda) return {c10::DeviceType::CPU};
  return {c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(binding.index)};
}

std::string products_of_sampling(const std::string& precision, const c10::Device& device) {
  if (!device.is_cpu()) return precision + " on " + device.str();
  return precision == "bf16" ? std::string("bf16 by ") + tiles::bf16_products() : precision;
}

}  // namespace langrun
