#include "core/optimizer.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

std::vector<at::Tensor> tensors_of(const NamedTensors& named) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : named) tensors.push_back(tensor);
  return tensors;
}

torch::optim::AdamParamState* adam_state(torch::optim::Optimizer& optimizer, const at::Tensor& weight) {
  const auto found = optimizer.state().find(weight.unsafeGetTensorImpl());
  return found == optimizer.state().end() ? nullptr : static_cast<torch::optim::AdamParamState*>(found->second.get());
}

torch::optim::SGDParamState* sgd_state(torch::optim::Optimizer& optimizer, const at::Tensor& weight) {
  const auto found = optimizer.state().find(weight.unsafeGetTensorImpl());
  return found == optimizer.state().end() ? nullptr : static_cast<torch::optim::SGDParamState*>(found->second.get());
}

}  // namespace

Optimizer::Optimizer(const torch::nn::Module& module, const OptimizerConfig& config)
    : weights_(named_weights(module)), config_(config) {
  if (config.kind == "adam")
    optimizer_ = std::make_unique<torch::optim::Adam>(
        tensors_of(weights_), torch::optim::AdamOptions().betas({config.beta1, config.beta2}).eps(config.epsilon).weight_decay(config.weight_decay));
  else if (config.kind == "sgd")
    optimizer_ = std::make_unique<torch::optim::SGD>(tensors_of(weights_),
                                                     torch::optim::SGDOptions(1).momentum(config.momentum).nesterov(config.nesterov).weight_decay(config.weight_decay));
  else
    throw Error(ExitCode::usage, fmt::format("unknown optimiser '{}'", config.kind), "adam or sgd");
}

Optimizer::~Optimizer() = default;

void Optimizer::step(double learning_rate) {
  for (auto& group : optimizer_->param_groups()) group.options().set_lr(learning_rate);
  optimizer_->step();
  optimizer_->zero_grad(true);
}

NamedTensors Optimizer::state() const {
  NamedTensors state;
  for (const auto& [name, weight] : weights_) {
    const auto zeros = [&, w = weight] { return torch::zeros_like(w).detach(); };
    if (config_.kind == "adam") {
      const auto* own = adam_state(*optimizer_, weight);
      state.emplace_back(name + ".exp_avg", own ? own->exp_avg() : zeros());
      state.emplace_back(name + ".exp_avg_sq", own ? own->exp_avg_sq() : zeros());
      state.emplace_back(name + ".step", torch::tensor(own ? static_cast<double>(own->step()) : 0.0, torch::kFloat32));
    } else if (config_.momentum > 0) {
      const auto* own = sgd_state(*optimizer_, weight);
      state.emplace_back(name + ".momentum_buffer", own ? own->momentum_buffer() : zeros());
    }
  }
  return state;
}

void Optimizer::restore(const NamedTensors& state) {
  const auto find = [&](const std::string& name, const at::Tensor& like) {
    for (const auto& [key, tensor] : state)
      if (key == name && tensor.sizes() == like.sizes()) return tensor.to(like.device()).clone();
    throw Error(ExitCode::input, fmt::format("optimiser state lacks {} of the right shape", name),
                "the checkpoint was written by another configuration");
  };
  const auto scalar = torch::zeros({});
  for (const auto& [name, weight] : weights_) {
    auto* key = weight.unsafeGetTensorImpl();
    if (config_.kind == "adam") {
      auto own = std::make_unique<torch::optim::AdamParamState>();
      own->exp_avg(find(name + ".exp_avg", weight));
      own->exp_avg_sq(find(name + ".exp_avg_sq", weight));
      own->step(static_cast<std::int64_t>(find(name + ".step", scalar).item<float>()));
      // A state of zero steps is the state before the first one: torch makes it anew then.
      if (own->step() > 0) optimizer_->state()[key] = std::move(own);
    } else if (config_.momentum > 0) {
      auto own = std::make_unique<torch::optim::SGDParamState>();
      own->momentum_buffer(find(name + ".momentum_buffer", weight));
      optimizer_->state()[key] = std::move(own);
    }
  }
}

void move_average(const torch::nn::Module& weights, const torch::nn::Module& average, double decay) {
  const torch::NoGradGuard constant;
  const auto from = named_weights(weights), to = named_weights(average);
  for (std::size_t i = 0; i < from.size(); ++i) {
    auto target = to[i].second;
    target.lerp_(from[i].second, 1 - decay);
  }
  const auto buffers = weights.named_buffers(), averaged = average.named_buffers();
  for (const auto& buffer : buffers) {
    auto target = averaged[buffer.key()];
    target.copy_(buffer.value());
  }
}

}  // namespace langrun
