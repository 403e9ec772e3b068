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
    for (std::size_t i = 1; i + 1 < convolutions.size(); ++i) {
      const auto& conv = *convolutions[i];
      if (middle_.size() < i) middle_.emplace_back(conv.shape().stride, conv.shape().padding);
      middle_[i - 1].set(place_.take(conv.weight), place_.take(conv.bias));
    }
    const auto& last = *convolutions.back();
    keep_copy(last_weight_, place_.take(last.weight));
    keep_copy(last_rounded_, last_weight_.to(at::kFloat));
    keep_copy(last_bias_, last.bias.detach().to(place_.device, at::kFloat));
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    std::vector<at::Tensor> h{first_.forward(x.to(place_.type), kLeaky)};
    for (auto& conv : middle_) h.push_back(conv.forward(h.back(), kLeaky));
    // The last convolution covers its whole input: a product and a sum of each sample, in float32.
    auto energy = (h.back().to(at::kFloat) * last_rounded_).sum({1, 2, 3}) + last_bias_;
    // A copy, masked in place below (for one image, `contiguous` would give the weight itself).
    auto gradient = last_weight_.expand_as(h.back()).clone(at::MemoryFormat::ChannelsLast);
    for (std::size_t i = middle_.size(); i-- > 0;) {
      gradient = middle_[i].input_gradient(mask_gradient(gradient, h[i + 1], LightEnergy::kSlope), h[i]);
      h.pop_back();
    }
    gradient = first_.input_gradient(mask_gradient(gradient, h.front(), LightEnergy::kSlope));
    return {std::move(energy), gradient.to(at::kFloat)};
  }

 private:
  FrozenPlace place_;
  FrozenFirstConv first_;
  std::vector<FrozenConv> middle_;                     ///< all but the first and the last
  at::Tensor last_weight_, last_rounded_, last_bias_;  ///< the second: the first's values in float32
};

}  // namespace

std::unique_ptr<FrozenNetwork> freeze_light(const FrozenPlace& place) { return std::make_unique<FrozenLight>(place); }

}  // namespace langrun
