#include "core/networks/frozen_conv.h"
#include "core/networks/frozen_network.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr FrozenConv::Activation kLeaky{true, LightEnergy::kSlope};

class FrozenLight : public FrozenNetwork {
 public:
  explicit FrozenLight(const FrozenPlace& place) : place_(place) {}

  void refresh(const Energy& source) override {
    const auto& convolutions = dynamic_cast<const LightEnergy&>(source).convolutions();
    first_.set(place_.take(convolutions.front()->weight), place_.take(convolutions.front()->bias));
    middle_.clear();
    for (std::size_t i = 1; i + 1 < convolutions.size(); ++i) {
      const auto& conv = *convolutions[i];
      middle_.emplace_back(conv.shape().stride, conv.shape().padding);
      middle_.back().set(place_.take(conv.weight), place_.take(conv.bias));
    }
    const auto& last = *convolutions.back();
    last_weight_ = place_.take(last.weight).clone(at::MemoryFormat::ChannelsLast);
    last_bias_ = last.bias.detach().to(place_.device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    std::vector<at::Tensor> h{first_.forward(x.to(place_.type), kLeaky)};
    for (auto& conv : middle_) h.push_back(conv.forward(h.back(), kLeaky));
    // The last convolution covers its whole input: a product and a sum of each sample, in float32.
    auto energy = (h.back().to(at::kFloat) * last_weight_.to(at::kFloat)).sum({1, 2, 3}) + last_bias_;
    // A copy, masked in place below (for one image, `contiguous` would give the weight itself).
    auto gradient = last_weight_.expand_as(h.back()).clone(at::MemoryFormat::ChannelsLast);
    for (std::size_t i = middle_.size(); i-- > 0;)
      gradient = middle_[i].input_gradient(mask_gradient(gradient, h[i + 1], LightEnergy::kSlope), h[i]);
    gradient = first_.input_gradient(mask_gradient(gradient, h.front(), LightEnergy::kSlope));
    return {std::move(energy), gradient.to(at::kFloat)};
  }

 private:
  FrozenPlace place_;
  FrozenFirstConv first_;
  std::vector<FrozenConv> middle_;  ///< all but the first and the last
  at::Tensor last_weight_, last_bias_;
};

}  // namespace

std::unique_ptr<FrozenNetwork> freeze_light(const FrozenPlace& place) { return std::make_unique<FrozenLight>(place); }

}  // namespace langrun
