#include "core/networks/energies.h"
#include "core/torch.h"

namespace langrun {

MlpEnergy::MlpEnergy(std::int64_t width) {
  const std::int64_t n = width > 0 ? width : 64;
  // Named as in an nn.Sequential, where activations hold the odd places.
  auto f = register_module("f", std::make_shared<torch::nn::Module>());
  const std::int64_t widths[] = {2, n, n, n, 1};
  for (std::size_t i = 0; i < 4; ++i) {
    layers_.push_back(std::make_shared<Linear>(widths[i], widths[i + 1], /*with_bias=*/true));
    f->register_module(std::to_string(2 * i), layers_.back());
  }
}

at::Tensor MlpEnergy::energy_with(const at::Tensor& x, const Activation&) {
  check_images(x, input());
  auto h = x.flatten(1) * kScale;
  for (std::size_t i = 0; i + 1 < layers_.size(); ++i) h = at::silu(layers_[i]->forward(h));
  return layers_.back()->forward(h).flatten();
}

}  // namespace langrun
