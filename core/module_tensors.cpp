#include "core/module_tensors.h"

#include <algorithm>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {

NamedTensors named_weights(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors.emplace_back(item.key(), item.value());
  return tensors;
}

NamedTensors named_state(const torch::nn::Module& module) {
  auto tensors = named_weights(module);
  for (const auto& item : module.named_buffers()) tensors.emplace_back(item.key(), item.value());
  return tensors;
}

void hold_constant(torch::nn::Module& module) {
  for (auto& weight : module.parameters()) weight.set_requires_grad(false);
}

std::int64_t weight_count(const torch::nn::Module& module) {
  std::int64_t count = 0;
  for (const auto& weight : module.parameters()) count += weight.numel();
  return count;
}

void take_gradient(const at::Tensor& weight, std::span<float> flat) {
  if (static_cast<std::size_t>(weight.numel()) != flat.size())
    throw Error(ExitCode::internal, "gradient and buffer differ in length");
  auto target = torch::from_blob(flat.data(), weight.sizes(), torch::kFloat32);
  if (weight.grad().defined())
    target.copy_(weight.grad());
  else
    target.zero_();
  weight.mutable_grad() = at::Tensor();
}

void take_gradients(const NamedTensors& weights, std::span<float> flat) {
  std::size_t at = 0;
  for (const auto& [name, weight] : weights) {
    const auto n = static_cast<std::size_t>(weight.numel());
    if (at + n > flat.size()) throw Error(ExitCode::internal, "gradient buffer is too small at " + name);
    take_gradient(weight, flat.subspan(at, n));
    at += n;
  }
}

void set_gradients(const NamedTensors& weights, std::span<const float> flat, double scale) {
  std::size_t at = 0;
  for (const auto& [name, weight] : weights) {
    const auto n = static_cast<std::size_t>(weight.numel());
    if (at + n > flat.size()) throw Error(ExitCode::internal, "gradient buffer is too small at " + name);
    const auto source = torch::from_blob(const_cast<float*>(flat.data() + at), weight.sizes(), torch::kFloat32);
    weight.mutable_grad() = source.mul(scale).to(weight.device());
    at += n;
  }
}

std::int64_t clip_gradients(const NamedTensors& weights, double max_norm) {
  if (max_norm <= 0) return 0;
  std::int64_t scaled = 0;
  for (const auto& [name, weight] : weights) {
    const double norm = weight.grad().norm().item<double>();
    if (norm <= max_norm) continue;
    weight.mutable_grad().mul_(max_norm / norm);
    ++scaled;
  }
  return scaled;
}

}  // namespace langrun
