#include "core/networks/frozen_conv.h"
#include "core/networks/frozen_network.h"

namespace langrun {
namespace {

constexpr FrozenConv::Activation kLeaky{true, LightEnergy::kSlope};

class FrozenLight : public FrozenNetwork {
 public:
  explicit FrozenLight(const FrozenPlace& place) : place_(place) {}

  void refresh(const Energy& source) override {
    const auto& convolutions = dynamic_cast<const LightEnergy&>(source).convolutions();
    convolutions_.resize(convolutions.size() - 1, FrozenConv(1, 1));
    for (std::size_t i = 0; i < convolutions_.size(); ++i) {
      const auto& conv = *convolutions[i];
      convolutions_[i] = FrozenConv(conv.shape().stride, conv.shape().padding);
      convolutions_[i].set(place_.take(conv.weight), place_.take(conv.bias));
    }
    const auto& last = *convolutions.back();
    last_weight_ = place_.take(last.weight).clone(at::MemoryFormat::ChannelsLast);
    last_bias_ = last.bias.detach().to(place_.device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    std::vector<at::Tensor> h{x.to(place_.type)};
    for (auto& conv : convolutions_) h.push_back(conv.forward(h.back(), kLeaky));
    // The last convolution covers its whole input: a product and a sum of each sample, in float32.
    auto energy = (h.back().to(at::kFloat) * last_weight_.to(at::kFloat)).sum({1, 2, 3}) + last_bias_;
    // A copy, masked in place below (for one image, `contiguous` would give the weight itself).
    auto gradient = last_weight_.expand_as(h.back()).clone(at::MemoryFormat::ChannelsLast);
    for (std::size_t i = convolutions_.size(); i-- > 0;)
      gradient = convolutions_[i].input_gradient(mask_gradient(gradient, h[i + 1], LightEnergy::kSlope), h[i]);
    return {std::move(energy), gradient.to(at::kFloat)};
  }

 private:
  FrozenPlace place_;
  std::vector<FrozenConv> convolutions_;  ///< all but the last
  at::Tensor last_weight_, last_bias_;
};

}  // namespace

std::unique_ptr<FrozenNetwork> freeze_light(const FrozenPlace& place) { return std::make_unique<FrozenLight>(place); }

}  // namespace langrun
