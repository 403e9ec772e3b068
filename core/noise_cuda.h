// core/noise.h on a GPU: the same numbers, from the same arithmetic (core/philox.h); chains draw
// theirs in chain_kernels.h.
// C++17, so that CUDA sources may include it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/noise_key.h"

namespace langrun {

/// Fills out [identities.size()][length] float32, device memory: row b gets the first `length` normals of fill_normal
/// at (identities[b], step). Queued on `stream` (a cudaStream_t; null: the default stream) of the current device and
/// not waited for; `identities` (host memory) may go as soon as the call returns. Throws Error(internal) where a
/// launch fails.
void fill_normal_on_device(NoiseKey key, const std::vector<std::uint64_t>& identities, std::uint32_t step, float* out,
                           std::int64_t length, void* stream = nullptr);

}  // namespace langrun
