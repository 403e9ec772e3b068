#include "core/networks/frozen_conv.h"
#include "core/networks/frozen_network.h"
#include "core/networks/pooled_kernel.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr FrozenConv::Activation kNone{}, kRelu{true, 0};

/// One residual block: forward keeps what backward needs.
class FrozenBlock {
 public:
  explicit FrozenBlock(const ResBlock& block)
      : shape_(block.shape()), conv1_(1, 1), conv2_(shape_.pool ? 2 : 1, 1), shortcut_(1, 0),
        has_shortcut_(block.shortcut != nullptr) {}

  void refresh(const ResBlock& block, const FrozenPlace& place) {
    const auto weight = place.take(block.conv1->weight), bias = place.take(block.conv1->bias);
    shape_.stem ? stem_.set(weight, bias) : conv1_.set(weight, bias);
    // The mean is taken before the weights are rounded to the type of sampling.
    const auto kernel = block.conv2->weight.detach();
    conv2_.set(place.take(shape_.pool ? pooled_kernel(kernel) : kernel), place.take(block.conv2->bias));
    if (has_shortcut_) shortcut_.set(place.take(block.shortcut->weight), place.take(block.shortcut->bias));
  }

  at::Tensor forward(const at::Tensor& x) {
    input_ = shape_.stem ? x : at::relu(x);
    middle_ = shape_.stem ? stem_.forward(input_, kRelu) : conv1_.forward(input_, kRelu);
    auto y = conv2_.forward(middle_, kNone);
    skipped_ = shape_.pool ? average_pool(x) : x;
    return y.add_(has_shortcut_ ? shortcut_.forward(skipped_, kNone) : skipped_);
  }

  /// From the gradient in the block's result to that in its input. `gradient` is kept as it was.
  /// What forward kept is let go of: memory of a graph's pool must not outlive the step that was captured.
  at::Tensor backward(const at::Tensor& gradient) {
    const auto input = std::move(input_), middle = std::move(middle_), skipped = std::move(skipped_);
    auto inner = conv2_.input_gradient(gradient, middle);
    mask_gradient(inner, middle, 0);
    auto result = shape_.stem ? stem_.input_gradient(inner) : conv1_.input_gradient(inner, input);
    if (!shape_.stem) mask_gradient(result, input, 0);
    auto skip = has_shortcut_ ? shortcut_.input_gradient(gradient, skipped) : gradient;
    if (shape_.pool) skip = at::avg_pool2d_backward(skip, input, 2, 2, 0, false, true, std::nullopt);
    return result.add_(skip);
  }

 private:
  ResBlockShape shape_;
  FrozenFirstConv stem_;  ///< stands for conv1 in the stem
  FrozenConv conv1_, conv2_, shortcut_;
  bool has_shortcut_;
  at::Tensor input_, middle_, skipped_;  ///< inputs of the three convolutions in the last forward call
};

class FrozenSngan : public FrozenNetwork {
 public:
  explicit FrozenSngan(const FrozenPlace& place) : place_(place) {}

  void refresh(const Energy& source) override {
    const auto& energy = dynamic_cast<const SnganEnergy&>(source);
    for (std::size_t i = 0; i < energy.blocks().size(); ++i) {
      if (blocks_.size() == i) blocks_.emplace_back(*energy.blocks()[i]);
      blocks_[i].refresh(*energy.blocks()[i], place_);
    }
    keep_copy(linear_, energy.linear().weight.detach().to(place_.device, at::kFloat).view({1, -1, 1, 1}));
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    auto h = x.to(place_.type);
    for (auto& block : blocks_) h = block.forward(h);
    at::relu_(h);
    // Global average pool and linear layer are one weighted sum of each sample, in float32.
    const auto weight = linear_ / static_cast<double>(h.size(2) * h.size(3));
    auto energy = (h.to(at::kFloat) * weight).sum({1, 2, 3});
    auto gradient = weight.to(place_.type).expand_as(h).clone(at::MemoryFormat::ChannelsLast);
    mask_gradient(gradient, h, 0);
    for (std::size_t i = blocks_.size(); i-- > 0;) gradient = blocks_[i].backward(gradient);
    return {std::move(energy), gradient.to(at::kFloat)};
  }

 private:
  FrozenPlace place_;
  std::vector<FrozenBlock> blocks_;
  at::Tensor linear_;  ///< [1, n, 1, 1] float32
};

}  // namespace

std::unique_ptr<FrozenNetwork> freeze_sngan(const FrozenPlace& place) { return std::make_unique<FrozenSngan>(place); }

}  // namespace langrun
