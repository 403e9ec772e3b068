#include "core/noise_cuda.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "core/chain_row.h"
#include "core/error.h"

namespace langrun {
namespace {

constexpr int kThreads = 128;
constexpr std::size_t kChunk = 256;

/// Identities travel as a kernel argument: no copy to wait for, and the call can become part of a graph.
struct Identities {
  std::uint64_t of[kChunk];
};

/// One thread makes one block of four normals, blockIdx.y is the row. Sixteen neighbours write 64 bytes in a row.
__global__ void __launch_bounds__(kThreads) each_normal(std::uint32_t key0, std::uint32_t key1, std::uint32_t step,
                                                        Identities identities, std::int64_t length, float* out) {
  const std::uint32_t block = blockIdx.x * kThreads + threadIdx.x;
  float* const row = out + static_cast<std::int64_t>(blockIdx.y) * length;
  normals_of_block(key0, key1, identities.of[blockIdx.y], step, block, length,
                   [=](std::int64_t at, float z) { row[at] = z; });
}

}  // namespace

void fill_normal_on_device(NoiseKey key, const std::vector<std::uint64_t>& identities, std::uint32_t step, float* out,
                           std::int64_t length, void* stream) {
  if (length <= 0) return;
  if (length > std::int64_t{1} << 34) {
    throw Error(ExitCode::internal,
                std::to_string(length) + " random numbers asked for at one place, at most 2^34 exist");
  }
  const auto columns = static_cast<unsigned>((noise_blocks(length) + kThreads - 1) / kThreads);
  for (std::size_t begin = 0; begin < identities.size(); begin += kChunk) {
    const std::size_t rows = std::min(kChunk, identities.size() - begin);
    Identities chunk{};
    std::copy_n(identities.begin() + static_cast<std::ptrdiff_t>(begin), rows, chunk.of);
    const dim3 grid(columns, static_cast<unsigned>(rows));
    each_normal<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        key.words[0], key.words[1], step, chunk, length, out + static_cast<std::int64_t>(begin) * length);
    const cudaError_t failed = cudaGetLastError();
    if (failed != cudaSuccess) {
      throw Error(ExitCode::internal, std::string("noise kernel: ") + cudaGetErrorString(failed));
    }
  }
}

}  // namespace langrun
