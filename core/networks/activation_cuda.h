// What follows a convolution on a GPU, in one pass over its result. C++17: CUDA sources include it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/philox.h"  // LANGRUN_HOST_DEVICE

namespace langrun {

/// A bfloat16 as its 16 bits; `widen` is exact, `narrow` rounds to nearest, ties to even.
LANGRUN_HOST_DEVICE float widen_bf16(std::uint32_t bits) { return ScalarOps::as_float(bits << 16); }
LANGRUN_HOST_DEVICE std::uint32_t narrow_bf16(float x) {
  const std::uint32_t bits = ScalarOps::as_bits(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0x7FC0u;  // not a number: rounding could carry it into infinity
  return (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
}

/// y + bias, times `slope` where that is negative (1: no activation, 0: ReLU), rounded once.
LANGRUN_HOST_DEVICE float biased_and_bent(float y, float bias, float slope) {
  const float sum = y + bias;
  return sum > 0 ? sum : sum * slope;
}

/// y [count / channels][channels] in place, bias [channels]; device memory, y aligned to 16 bytes; queued on `stream`
/// (a cudaStream_t) and not waited for. bfloat16 values as their bits. Throws Error(internal) where the launch fails.
void add_bias_and_bend(float* y, const float* bias, std::int64_t count, std::int64_t channels, float slope,
                       void* stream);
void add_bias_and_bend(std::uint16_t* y, const std::uint16_t* bias, std::int64_t count, std::int64_t channels,
                       float slope, void* stream);

}  // namespace langrun
