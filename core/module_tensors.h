// A network's tensors by name, in one fixed order: what is flattened for reduction, averaged, and saved.
#pragma once

#include <torch/nn/module.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace langrun {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Trainable weights, in the network's own order; the tensors are the network's, not copies.
NamedTensors named_weights(const torch::nn::Module& module);
/// Weights and then buffers (running statistics): all that a checkpoint needs.
NamedTensors named_state(const torch::nn::Module& module);
/// Number of trainable weights.
std::int64_t weight_count(const torch::nn::Module& module);
/// From now on autograd takes the weights for constants.
void hold_constant(torch::nn::Module& module);

/// Copies one weight's gradient into `flat`, which holds weight.numel() floats, and clears it; zeros where there is
/// none.
void take_gradient(const at::Tensor& weight, std::span<float> flat);
/// Copies the gradients of `weights` end to end into `flat` and clears them. A weight without a gradient gives zeros.
/// `flat` holds weight_count floats.
void take_gradients(const NamedTensors& weights, std::span<float> flat);
/// Sets the gradients of `weights` to `scale` times what stands end to end in `flat`.
void set_gradients(const NamedTensors& weights, std::span<const float> flat, double scale);

/// Scales each weight's gradient so that its L2 norm is at most `max_norm` (per tensor, as the papers do); 0: none.
/// Returns how many were scaled.
std::int64_t clip_gradients(const NamedTensors& weights, double max_norm);

}  // namespace langrun
