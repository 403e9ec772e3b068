#include "core/networks/blocks.h"

#include "core/noise.h"
#include "core/torch.h"

namespace langrun {

Conv::Conv(const ConvShape& shape) : shape_(shape) {
  weight = register_parameter("weight", torch::empty({shape.out, shape.in, shape.kernel, shape.kernel}));
  if (shape.bias) bias = register_parameter("bias", torch::empty({shape.out}));
}

at::Tensor Conv::forward(const at::Tensor& x) const {
  return at::conv2d(x, effective_weight(), bias, shape_.stride, shape_.padding);
}

at::Tensor Conv::effective_weight() const { return shape_.spectral_norm ? weight * spectral_scale(weight) : weight; }

Linear::Linear(std::int64_t in, std::int64_t out, bool with_bias, bool spectral_norm) : spectral_norm_(spectral_norm) {
  weight = register_parameter("weight", torch::empty({out, in}));
  if (with_bias) bias = register_parameter("bias", torch::empty({out}));
}

at::Tensor Linear::forward(const at::Tensor& x) const { return at::linear(x, effective_weight(), bias); }

at::Tensor Linear::effective_weight() const { return spectral_norm_ ? weight * spectral_scale(weight) : weight; }

ResBlock::ResBlock(const ResBlockShape& shape) : shape_(shape) {
  conv1 = register_module("conv1", std::make_shared<Conv>(ConvShape{shape.in, shape.out, 3, 1, 1}));
  conv2 = register_module("conv2", std::make_shared<Conv>(ConvShape{shape.out, shape.out, 3, 1, 1}));
  if (shape.pool || shape.in != shape.out)
    shortcut = register_module("shortcut", std::make_shared<Conv>(ConvShape{shape.in, shape.out}));
}

at::Tensor ResBlock::forward(const at::Tensor& x, const Activation& activation) const {
  auto h = conv1->forward(shape_.stem ? x : activation.relu(x));
  h = conv2->forward(activation.relu(h));
  // A 1x1 convolution and average pooling commute, so the shortcut pools first in every block: a quarter of the work.
  auto s = shape_.pool ? average_pool(x) : x;
  if (shortcut) s = shortcut->forward(s);
  return (shape_.pool ? average_pool(h) : h) + s;
}

at::Tensor average_pool(const at::Tensor& x) { return at::avg_pool2d(x, 2); }

at::Tensor pooled_energy(const at::Tensor& h, const Linear& linear) {
  const auto type = h.scalar_type() == at::kBFloat16 ? at::kFloat : h.scalar_type();
  return (h.mean({2, 3}, /*keepdim=*/false, type) * linear.effective_weight().to(type)).sum(1);
}

at::Tensor spectral_scale(const at::Tensor& weight) {
  constexpr int kIterations = 10;
  constexpr double kSmall = 1e-12;
  const auto matrix = weight.flatten(1);
  at::Tensor u, v;
  {
    at::NoGradGuard constant;
    const auto m = matrix.detach();
    auto start = at::empty({m.size(0)}, at::kFloat);
    fill_uniform(noise_key(0, Stream::weights), {}, {start.data_ptr<float>(), static_cast<std::size_t>(start.numel())});
    u = (start - 0.5).to(m.options());
    for (int i = 0; i < kIterations; ++i) {
      v = at::mv(m.t(), u);
      v = v / (v.norm() + kSmall);
      u = at::mv(m, v);
      u = u / (u.norm() + kSmall);
    }
  }
  return 1 / at::dot(u, at::mv(matrix, v));
}

}  // namespace langrun
