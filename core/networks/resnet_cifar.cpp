#include "core/networks/resnet_cifar.h"

#include "core/networks/classifier_blocks.h"
#include "core/torch.h"

namespace langrun {
namespace {

/// Two convolutions with batch norm around an identity shortcut.
class Block : public torch::nn::Module {
 public:
  Block(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1_(register_module("conv1", plain_conv(in, out, 3, stride))),
        bn1_(register_module("bn1", classifier_norm(out))),
        conv2_(register_module("conv2", plain_conv(out, out, 3, 1))),
        bn2_(register_module("bn2", classifier_norm(out))), grows_(in != out) {}

  at::Tensor forward(const at::Tensor& x, BatchNormUse use) const {
    const auto h = torch::relu(bn1_->forward(conv1_->forward(x), use));
    return torch::relu(bn2_->forward(conv2_->forward(h), use) + shortcut(x));
  }

 private:
  /// Option A: where the block halves the size and doubles the channels, every second pixel, and zeros in equal parts
  /// before and after for the channels that are new.
  at::Tensor shortcut(const at::Tensor& x) const {
    if (!grows_) return x;
    const auto extra = x.size(1) / 2;
    return at::constant_pad_nd(x.slice(2, 0, c10::nullopt, 2).slice(3, 0, c10::nullopt, 2), {0, 0, 0, 0, extra, extra});
  }

  std::shared_ptr<Conv> conv1_;
  std::shared_ptr<LaneBatchNorm> bn1_;
  std::shared_ptr<Conv> conv2_;
  std::shared_ptr<LaneBatchNorm> bn2_;
  bool grows_;
};

class ResnetCifar : public Classifier {
 public:
  ResnetCifar(const ClassifierConfig& config, std::int64_t blocks)
      : width_(config.width), classes_(config.classes), normalised_(config.normalisation),
        conv1_(register_module("conv1", plain_conv(3, width_, 3, 1))),
        bn1_(register_module("bn1", classifier_norm(width_))),
        layer1_(register_module("layer1", std::make_shared<BlockGroup<Block>>(width_, width_, 1, blocks))),
        layer2_(register_module("layer2", std::make_shared<BlockGroup<Block>>(width_, 2 * width_, 2, blocks))),
        layer3_(register_module("layer3", std::make_shared<BlockGroup<Block>>(2 * width_, 4 * width_, 2, blocks))),
        linear_(register_module("linear", std::make_shared<Linear>(4 * width_, classes_, /*with_bias=*/true))) {}

  ImageShape input() const override { return {3, 32, 32}; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t feature_length() const override { return 4 * width_; }
  at::Tensor logits(const at::Tensor& x) override { return linear_->forward(features(x)); }
  at::Tensor features(const at::Tensor& x) override {
    const auto use = norm_use();
    auto h = torch::relu(bn1_->forward(conv1_->forward(normalised_(x)), use));          // [B, w, 32, 32]
    h = layer3_->forward(layer2_->forward(layer1_->forward(h, use), use), use);         // [B, 4w, 8, 8]
    return h.mean({2, 3});                                                              // [B, 4w]
  }

 private:
  std::int64_t width_, classes_;
  Normalisation normalised_;
  std::shared_ptr<Conv> conv1_;
  std::shared_ptr<LaneBatchNorm> bn1_;
  std::shared_ptr<BlockGroup<Block>> layer1_, layer2_, layer3_;
  std::shared_ptr<Linear> linear_;
};

}  // namespace

std::shared_ptr<Classifier> make_resnet_cifar(const ClassifierConfig& config, std::int64_t blocks) {
  return std::make_shared<ResnetCifar>(config, blocks);
}

}  // namespace langrun
