// Sums in GPU memory, in the caller's order.
#pragma once

#include <cstddef>

struct CUstream_st;

namespace langrun {

/// sum [count] += other [count], float32 on the device, on `stream`; does not block. Each element is one IEEE addition,
/// as on the host. Throws nothing: returns the CUDA error of the launch (0 for none).
int device_add(float* sum, const float* other, std::size_t count, CUstream_st* stream);

}  // namespace langrun
