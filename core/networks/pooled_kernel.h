// A 3x3 convolution followed by 2x2 average pooling as one convolution.
#pragma once

#include <torch/types.h>

namespace langrun {

/// The kernel [o, i, 4, 4] whose convolution of stride 2 (padding 1) is that of `kernel` [o, i, 3, 3] (stride 1,
/// padding 1) followed by 2x2 average pooling: the mean of the 3x3 kernel at its four places. 16 products for a pooled
/// pixel instead of 36.
at::Tensor pooled_kernel(const at::Tensor& kernel);

}  // namespace langrun
