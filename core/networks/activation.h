// ReLU and LeakyReLU as they are, or smoothed so that a network of them has curvature.
#pragma once

#include <ATen/core/Tensor.h>

namespace langrun {

/// How an energy's (Leaky)ReLUs are computed.
struct Activation {
  /// 0: as they are. Otherwise s of the softplus log(1 + exp(s v)) / s in the place of max(v, 0): the larger, the
  /// closer.
  double sharpness = 0;

  at::Tensor relu(const at::Tensor& v) const { return leaky_relu(v, 0); }
  /// slope v + (1 - slope) max(v, 0), or softplus in the place of the maximum.
  at::Tensor leaky_relu(const at::Tensor& v, double slope) const;
};

}  // namespace langrun
