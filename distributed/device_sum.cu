#include "distributed/device_sum.h"

#include <cuda_runtime.h>

namespace langrun {
namespace {

__global__ void add(float* sum, const float* other, size_t count) {
  const size_t stride = static_cast<size_t>(blockDim.x) * gridDim.x;
  for (size_t i = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x; i < count; i += stride)
    sum[i] = __fadd_rn(sum[i], other[i]);
}

}  // namespace

int device_add(float* sum, const float* other, std::size_t count, CUstream_st* stream) {
  if (count == 0) return cudaSuccess;
  constexpr size_t kThreads = 256, kMostBlocks = 1024;
  const size_t blocks = (count + kThreads - 1) / kThreads;
  add<<<static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks), kThreads, 0, stream>>>(sum, other, count);
  return cudaGetLastError();
}

}  // namespace langrun
