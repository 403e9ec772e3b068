// Host memory to the device that computes, without waiting for it.
#pragma once

#include <ATen/core/Tensor.h>

namespace langrun {

/// `host` (host memory) on `device`. On a GPU through page-locked memory, queued on the current stream: the host goes
/// on at once, and what is queued behind sees the values. Page-locked is a copy of this call's rows rather than a whole
/// bank: rows are drawn from all over it, so they have to be brought together in any case, and memory that the system
/// can never move stays small. On a CPU: `host` itself.
at::Tensor to_device(const at::Tensor& host, const at::Device& device);

}  // namespace langrun
