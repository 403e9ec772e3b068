#include "core/chain_kernels.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "core/error.h"

namespace langrun {
namespace {

constexpr int kWarp = 32;
// A 32x32 image of three channels is 768 blocks of noise: two a thread, and four chains fit on one multiprocessor.
constexpr int kThreads = 384;
constexpr int kChunk = 256;

struct Chunk {
  std::uint64_t identities[kChunk];
  std::uint32_t starts[kChunk];
};

__global__ void begin(DeviceRows rows, ChainSettings settings, Chunk chunk, std::int64_t first) {
  const std::int64_t b = first + threadIdx.x;
  if (b == 0) *rows.settings = settings;
  if (b >= rows.count) return;
  rows.identities[b] = chunk.identities[threadIdx.x];
  rows.starts[b] = rows.steps[b] = chunk.starts[threadIdx.x];
  rows.magnitude_sum[b] = 0;
}

/// The sum over a block's threads, given to all of them, in an order that is always the same.
__device__ float block_sum(float own) {
  __shared__ float of_warp[kThreads / kWarp];
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    own = __fadd_rn(own, __shfl_xor_sync(0xffffffffu, own, distance));
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = own;
  __syncthreads();
  float sum = of_warp[0];
#pragma unroll
  for (int warp = 1; warp < kThreads / kWarp; ++warp) sum = __fadd_rn(sum, of_warp[warp]);
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    move(DeviceRows rows, const float* energy, const float* gradient, float* x) {
  const std::int64_t b = blockIdx.x;
  const ChainSettings settings = *rows.settings;
  const std::uint64_t identity = rows.identities[b];
  const std::uint32_t step = rows.steps[b];
  // The whole block leaves together, before any of its barriers.
  if (step >= settings.end_step) return;
  gradient += b * rows.length;
  const float squares = block_sum(squares_of_thread(gradient, rows.length, threadIdx.x, kThreads));
  const float magnitude = chain_magnitude(settings, squares);
  move_of_thread(settings, identity, step, clipped_weight(settings, magnitude), gradient, x + b * rows.length,
                 rows.length, threadIdx.x, kThreads);
  // Every thread has read the step before block_sum's barrier, and no other block reads this chain's.
  if (threadIdx.x != 0) return;
  if (step == rows.starts[b]) rows.first_energy[b] = energy[b];
  rows.last_energy[b] = energy[b];
  rows.magnitude_sum[b] = __fadd_rn(rows.magnitude_sum[b], magnitude);
  rows.steps[b] = step + 1;
}

void check(const char* what) {
  const cudaError_t failed = cudaGetLastError();
  if (failed != cudaSuccess) throw Error(ExitCode::internal, std::string(what) + ": " + cudaGetErrorString(failed));
}

}  // namespace

void begin_chains(const DeviceRows& rows, const ChainSettings& settings, const std::vector<std::uint64_t>& identities,
                  const std::vector<std::uint32_t>& starts, void* stream) {
  if (rows.length > std::int64_t{1} << 34) {
    throw Error(ExitCode::internal,
                std::to_string(rows.length) + " random numbers asked for at one place, at most 2^34 exist");
  }
  if (static_cast<std::int64_t>(identities.size()) != rows.count || starts.size() != identities.size())
    throw Error(ExitCode::internal, "every chain needs an identity of its own for its noise");
  for (std::int64_t first = 0; first < rows.count; first += kChunk) {
    Chunk chunk{};
    const auto some = std::min<std::int64_t>(kChunk, rows.count - first);
    std::copy_n(identities.begin() + static_cast<std::ptrdiff_t>(first), some, chunk.identities);
    std::copy_n(starts.begin() + static_cast<std::ptrdiff_t>(first), some, chunk.starts);
    begin<<<1, kChunk, 0, static_cast<cudaStream_t>(stream)>>>(rows, settings, chunk, first);
    check("start of chains");
  }
}

void move_chains(const DeviceRows& rows, const float* energy, const float* gradient, float* x, void* stream) {
  if (rows.count == 0 || rows.length == 0) return;
  move<<<static_cast<unsigned>(rows.count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(rows, energy, gradient,
                                                                                              x);
  check("step of chains");
}

}  // namespace langrun
