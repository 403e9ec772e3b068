// When, during a backward pass, a weight's gradient is complete.
#pragma once

#include <cstddef>
#include <functional>

#include "core/module_tensors.h"

namespace langrun {

/// While it lives, every backward pass calls `ready(i)` as soon as the gradient of weight i stands in
/// weights[i].grad(), once a pass and weight, from the thread that computes it: on CPUs that is the one that called
/// backward(). `ready` may take the gradient away; what it throws comes out of backward(). The order is that of the
/// pass, last layers about first. One watch for a weight at a time.
class GradientWatch {
 public:
  using Ready = std::function<void(std::size_t weight)>;
  GradientWatch(const NamedTensors& weights, const Ready& ready);
  ~GradientWatch();
  GradientWatch(const GradientWatch&) = delete;
  GradientWatch& operator=(const GradientWatch&) = delete;

 private:
  const NamedTensors& weights_;
};

}  // namespace langrun
