#include "core/noise_cuda.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "core/error.h"
#include "core/philox.h"

namespace langrun {
namespace {

constexpr int kThreads = 128;
constexpr std::size_t kChunk = 256;

/// Identities travel as a kernel argument: no copy to wait for, and the call can become part of a graph.
struct Identities {
  std::uint64_t of[kChunk];
};

struct Store {
  float* out;
  __device__ void operator()(std::int64_t at, float z) const { out[at] = z; }
};

struct Move {
  float minus_gradient_weight, noise_weight;
  const float* gradient;
  float* x;
  __device__ void operator()(std::int64_t at, float z) const {
    x[at] = langevin_step<ScalarOps>(minus_gradient_weight, noise_weight, gradient[at], z, x[at]);
  }
};

/// One thread makes one block of four normals, blockIdx.y is the row. Sixteen neighbours write 64 bytes in a row.
template <class Use>
__global__ void __launch_bounds__(kThreads) each_normal(std::uint32_t key0, std::uint32_t key1, std::uint32_t step,
                                                        Identities identities, std::int64_t length, Use use) {
  const std::uint32_t block = blockIdx.x * kThreads + threadIdx.x;
  const std::int64_t first = static_cast<std::int64_t>(block / kGroupBlocks) * kNoiseGroup + block % kGroupBlocks;
  if (first >= length) return;
  const std::uint64_t identity = identities.of[blockIdx.y];
  std::uint32_t words[4] = {block, step, static_cast<std::uint32_t>(identity),
                            static_cast<std::uint32_t>(identity >> 32)};
  philox_rounds<ScalarOps>(words, key0, key1);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * length;
#pragma unroll
  for (int pair = 0; pair < 2; ++pair) {
    float z[2];
    box_muller<ScalarOps>(words[2 * pair], words[2 * pair + 1], z[0], z[1]);
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const std::int64_t place = first + kGroupBlocks * (2 * pair + k);
      if (place < length) use(row + place, z[k]);
    }
  }
}

Store shifted(Store use, std::int64_t by) { return {use.out + by}; }
Move shifted(Move use, std::int64_t by) {
  use.gradient += by;
  use.x += by;
  return use;
}

template <class Use>
void launch(NoiseKey key, const std::vector<std::uint64_t>& identities, std::uint32_t step, std::int64_t length,
            Use use, void* stream) {
  if (length <= 0) return;
  if (length > std::int64_t{1} << 34) {
    throw Error(ExitCode::internal,
                std::to_string(length) + " random numbers asked for at one place, at most 2^34 exist");
  }
  const std::int64_t groups = (length + kNoiseGroup - 1) / kNoiseGroup;
  const auto columns = static_cast<unsigned>((groups * kGroupBlocks + kThreads - 1) / kThreads);
  for (std::size_t begin = 0; begin < identities.size(); begin += kChunk) {
    const std::size_t rows = std::min(kChunk, identities.size() - begin);
    Identities chunk{};
    std::copy_n(identities.begin() + static_cast<std::ptrdiff_t>(begin), rows, chunk.of);
    const dim3 grid(columns, static_cast<unsigned>(rows));
    each_normal<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        key.words[0], key.words[1], step, chunk, length, shifted(use, static_cast<std::int64_t>(begin) * length));
    const cudaError_t failed = cudaGetLastError();
    if (failed != cudaSuccess) {
      throw Error(ExitCode::internal, std::string("noise kernel: ") + cudaGetErrorString(failed));
    }
  }
}

}  // namespace

void fill_normal_on_device(NoiseKey key, const std::vector<std::uint64_t>& identities, std::uint32_t step, float* out,
                           std::int64_t length, void* stream) {
  launch(key, identities, step, length, Store{out}, stream);
}

void langevin_update_on_device(NoiseKey key, const std::vector<std::uint64_t>& identities, std::uint32_t step,
                               float gradient_weight, float noise_weight, const float* gradient, float* x,
                               std::int64_t length, void* stream) {
  launch(key, identities, step, length, Move{-gradient_weight, noise_weight, gradient, x}, stream);
}

}  // namespace langrun
