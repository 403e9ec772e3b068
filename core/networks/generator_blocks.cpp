#include "core/networks/generator_blocks.h"

#include "core/torch.h"
#include "core/upsample.h"

namespace langrun {

GeneratorBlock::GeneratorBlock(const GeneratorBlockShape& shape) : shape_(shape) {
  if (!shape.stem) bn1_ = register_module("bn1", std::make_shared<LaneBatchNorm>(shape.in));
  conv1_ = register_module("conv1", std::make_shared<Conv>(ConvShape{shape.in, shape.out, 3, 1, 1}));
  bn2_ = register_module("bn2", std::make_shared<LaneBatchNorm>(shape.out));
  conv2_ = register_module("conv2", std::make_shared<Conv>(ConvShape{shape.out, shape.out, 3, 1, 1}));
  if (shape.up || shape.in != shape.out)
    shortcut_ = register_module("shortcut", std::make_shared<Conv>(ConvShape{shape.in, shape.out}));
}

at::Tensor GeneratorBlock::forward(const at::Tensor& x, BatchNormUse use) const {
  auto h = shape_.stem ? x : at::relu(bn1_->forward(x, use));
  h = conv1_->forward(shape_.up ? upsample2(h) : h);
  h = conv2_->forward(at::relu(bn2_->forward(h, use)));
  // The weights of bilinear doubling sum to 1, so it commutes with a 1x1 convolution, bias included: a quarter of
  // the work.
  const auto s = shortcut_ ? shortcut_->forward(x) : x;
  return h + (shape_.up ? upsample2(s) : s);
}

std::vector<std::shared_ptr<LaneBatchNorm>> GeneratorBlock::batch_norms() const {
  if (!bn1_) return {bn2_};
  return {bn1_, bn2_};
}

GeneratorEnd::GeneratorEnd(torch::nn::Module& owner, std::int64_t channels, double factor) : factor_(factor) {
  bn_ = owner.register_module("bn", std::make_shared<LaneBatchNorm>(channels));
  conv_ = owner.register_module("conv", std::make_shared<Conv>(ConvShape{channels, 3, 3, 1, 1}));
}

at::Tensor GeneratorEnd::forward(const at::Tensor& x, BatchNormUse use) const {
  const auto images = at::tanh(conv_->forward(at::relu(bn_->forward(x, use))));
  return factor_ == 1 ? images : images * factor_;
}

}  // namespace langrun
