#include "core/networks/energies.h"
#include "core/torch.h"

namespace langrun {

LightEnergy::LightEnergy(std::int64_t width) {
  const std::int64_t n = width > 0 ? width : 32;
  const ConvShape shapes[] = {
      {3, n, 3, 1, 1}, {n, 2 * n, 4, 2, 1}, {2 * n, 4 * n, 4, 2, 1}, {4 * n, 8 * n, 4, 2, 1}, {8 * n, 1, 4, 1, 0}};
  // Named as in the authors' nn.Sequential, where activations hold the odd places.
  auto f = register_module("f", std::make_shared<torch::nn::Module>());
  for (const auto& shape : shapes) {
    const auto place = std::to_string(2 * convolutions_.size());
    convolutions_.push_back(f->register_module(place, std::make_shared<Conv>(shape)));
  }
}

at::Tensor LightEnergy::energy_with(const at::Tensor& x, const Activation& activation) {
  check_images(x, input());
  auto h = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (std::size_t i = 0; i + 1 < convolutions_.size(); ++i)
    h = activation.leaky_relu(convolutions_[i]->forward(h), kSlope);
  return convolutions_.back()->forward(h).flatten();
}

}  // namespace langrun
