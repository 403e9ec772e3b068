#include "core/networks/activation_cuda.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <string>

#include "core/error.h"

namespace langrun {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 4096;

__device__ float bent(float y, float bias, float slope) { return biased_and_bent(y, bias, slope); }
__device__ std::uint16_t bent(std::uint16_t y, std::uint16_t bias, float slope) {
  return static_cast<std::uint16_t>(narrow_bf16(biased_and_bent(widen_bf16(y), widen_bf16(bias), slope)));
}

/// So many values that a thread moves 16 bytes at once, or one where the channels do not allow that.
template <class Value, int width>
struct alignas(sizeof(Value) * width) Pack {
  Value of[width];
};

template <class Value, int width>
__global__ void __launch_bounds__(kThreads)
    bias_and_bend(Pack<Value, width>* y, const Value* bias, std::int64_t packs, int channels, float slope) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < packs; i += stride) {
    Pack<Value, width> values = y[i];
    const int channel = static_cast<int>(i * width % channels);
#pragma unroll
    for (int k = 0; k < width; ++k) values.of[k] = bent(values.of[k], bias[channel + k], slope);
    y[i] = values;
  }
}

template <class Value, int width>
void launch(Value* y, const Value* bias, std::int64_t count, std::int64_t channels, float slope, void* stream) {
  const std::int64_t packs = count / width;
  if (packs == 0) return;
  const auto blocks = static_cast<unsigned>(std::min(kMostBlocks, (packs + kThreads - 1) / kThreads));
  bias_and_bend<Value, width><<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      reinterpret_cast<Pack<Value, width>*>(y), bias, packs, static_cast<int>(channels), slope);
  const cudaError_t failed = cudaGetLastError();
  if (failed != cudaSuccess)
    throw Error(ExitCode::internal, std::string("bias and activation: ") + cudaGetErrorString(failed));
}

template <class Value>
void launch_widest(Value* y, const Value* bias, std::int64_t count, std::int64_t channels, float slope, void* stream) {
  constexpr int kWidth = 16 / sizeof(Value);
  if (channels % kWidth == 0)
    launch<Value, kWidth>(y, bias, count, channels, slope, stream);
  else
    launch<Value, 1>(y, bias, count, channels, slope, stream);
}

}  // namespace

void add_bias_and_bend(float* y, const float* bias, std::int64_t count, std::int64_t channels, float slope,
                       void* stream) {
  launch_widest(y, bias, count, channels, slope, stream);
}

void add_bias_and_bend(std::uint16_t* y, const std::uint16_t* bias, std::int64_t count, std::int64_t channels,
                       float slope, void* stream) {
  launch_widest(y, bias, count, channels, slope, stream);
}

}  // namespace langrun
