// LibTorch's optimisers with their state by name, so that it can be saved and read back.
#pragma once

#include <memory>
#include <string>

#include "core/module_tensors.h"
#include "core/settings.h"

namespace torch::optim {
class Optimizer;
}

namespace langrun {

class Optimizer {
 public:
  /// Over the trainable weights of `module`, which must outlive it.
  Optimizer(const torch::nn::Module& module, const OptimizerConfig& config);
  ~Optimizer();
  /// One update from the gradients in the weights, at this learning rate. Clears the gradients.
  void step(double learning_rate);
  /// State by name ("<weight>.exp_avg", "<weight>.step", ...), the live tensors, float32; a state that has not begun is
  /// zeros.
  NamedTensors state() const;
  /// Restores what `state` gave: every name must be there with its shape. Throws Error(input) otherwise.
  void restore(const NamedTensors& state);

 private:
  NamedTensors weights_;
  OptimizerConfig config_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
};

/// average <- decay * average + (1 - decay) * weights, for the weights; buffers are copied raw (networks with running
/// statistics: an averaged generator takes the raw ones).
void move_average(const torch::nn::Module& weights, const torch::nn::Module& average, double decay);

}  // namespace langrun
