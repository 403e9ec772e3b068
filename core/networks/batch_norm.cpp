#include "core/networks/batch_norm.h"

#include "core/torch.h"

namespace langrun {

LaneBatchNorm::LaneBatchNorm(std::int64_t channels, const BatchNormShape& shape) : shape_(shape) {
  weight = register_parameter("weight", torch::ones({channels}));
  bias = register_parameter("bias", torch::zeros({channels}));
  running_mean = register_buffer("running_mean", torch::zeros({channels}));
  running_variance = register_buffer("running_var", torch::ones({channels}));
}

at::Tensor LaneBatchNorm::normalised(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& variance) const {
  return at::batch_norm(x, weight, bias, mean, variance, /*training=*/false, 0.0, shape_.epsilon, true);
}

at::Tensor LaneBatchNorm::forward(const at::Tensor& x, BatchNormUse use) {
  if (use == BatchNormUse::running) return normalised(x, running_mean, running_variance);
  if (use == BatchNormUse::off) return normalised(x, at::zeros_like(running_mean), at::ones_like(running_variance));
  if (!at::GradMode::is_enabled())
    return at::batch_norm(x, weight, bias, {}, {}, /*training=*/true, 0.0, shape_.epsilon, true);
  // Scratch statistics that move all the way (momentum 1) hold this call's own, at no extra pass over x.
  lane_mean = at::zeros_like(running_mean);
  lane_variance = at::zeros_like(running_variance);
  return at::batch_norm(x, weight, bias, lane_mean, lane_variance, /*training=*/true, 1.0, shape_.epsilon, true);
}

void LaneBatchNorm::move_running(const at::Tensor& mean, const at::Tensor& variance) {
  at::NoGradGuard no_grad;
  running_mean.mul_(1 - shape_.momentum).add_(mean, shape_.momentum);
  running_variance.mul_(1 - shape_.momentum).add_(variance, shape_.momentum);
}

}  // namespace langrun
