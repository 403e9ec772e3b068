#include "core/networks/wide_resnet.h"

#include "core/networks/classifier_blocks.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr std::int64_t kStem = 16, kBlocks = 4;

std::shared_ptr<Conv> conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
  return std::make_shared<Conv>(ConvShape{in, out, kernel, stride, kernel / 2});
}

/// The 1x1 convolution around a block that changes the shape, named 0.
class Projection : public torch::nn::Module {
 public:
  Projection(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv_(register_module("0", conv(in, out, 1, stride))) {}
  at::Tensor forward(const at::Tensor& x) const { return conv_->forward(x); }

 private:
  std::shared_ptr<Conv> conv_;
};

class Block : public torch::nn::Module {
 public:
  Block(std::int64_t in, std::int64_t out, std::int64_t stride)
      : bn1_(register_module("bn1", classifier_norm(in))), conv1_(register_module("conv1", conv(in, out, 3, 1))),
        bn2_(register_module("bn2", classifier_norm(out))), conv2_(register_module("conv2", conv(out, out, 3, stride))) {
    if (stride != 1 || in != out) shortcut_ = register_module("shortcut", std::make_shared<Projection>(in, out, stride));
  }
  at::Tensor forward(const at::Tensor& x, BatchNormUse use) const {
    const auto h = conv1_->forward(torch::relu(bn1_->forward(x, use)));
    return conv2_->forward(torch::relu(bn2_->forward(h, use))) + (shortcut_ ? shortcut_->forward(x) : x);
  }

 private:
  std::shared_ptr<LaneBatchNorm> bn1_;
  std::shared_ptr<Conv> conv1_;
  std::shared_ptr<LaneBatchNorm> bn2_;
  std::shared_ptr<Conv> conv2_;
  std::shared_ptr<Projection> shortcut_;  ///< null where it is the identity
};

class WideResnet : public Classifier {
 public:
  explicit WideResnet(const ClassifierConfig& config)
      : width_(config.width), classes_(config.classes), normalised_(config.normalisation),
        conv1_(register_module("conv1", conv(3, kStem, 3, 1))), layer1_(group("layer1", kStem, width_, 1)),
        layer2_(group("layer2", width_, 2 * width_, 2)), layer3_(group("layer3", 2 * width_, 4 * width_, 2)),
        bn1_(register_module("bn1", classifier_norm(4 * width_))),
        linear_(register_module("linear", std::make_shared<Linear>(4 * width_, classes_, /*with_bias=*/true))) {}

  ImageShape input() const override { return {3, 32, 32}; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t feature_length() const override { return 4 * width_; }
  at::Tensor logits(const at::Tensor& x) override { return linear_->forward(features(x)); }
  at::Tensor features(const at::Tensor& x) override {
    const auto use = norm_use();
    auto h = conv1_->forward(normalised_(x));                                     // [B, 16, 32, 32]
    for (const auto& layer : {layer1_, layer2_, layer3_}) h = layer->forward(h, use);
    return torch::relu(bn1_->forward(h, use)).mean({2, 3});                       // [B, 4w]
  }

 private:
  std::shared_ptr<BlockGroup<Block>> group(const char* name, std::int64_t in, std::int64_t out, std::int64_t stride) {
    return register_module(name, std::make_shared<BlockGroup<Block>>(in, out, stride, kBlocks));
  }

  std::int64_t width_, classes_;
  Normalisation normalised_;
  std::shared_ptr<Conv> conv1_;
  std::shared_ptr<BlockGroup<Block>> layer1_, layer2_, layer3_;
  std::shared_ptr<LaneBatchNorm> bn1_;
  std::shared_ptr<Linear> linear_;
};

}  // namespace

std::shared_ptr<Classifier> make_wide_resnet(const ClassifierConfig& config) {
  return std::make_shared<WideResnet>(config);
}

}  // namespace langrun
