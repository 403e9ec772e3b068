#include "core/networks/resnet18.h"

#include "core/networks/classifier_blocks.h"
#include "core/torch.h"

namespace langrun {
namespace {

/// The way around a block that changes the shape: a 1x1 convolution and batch norm, named 0 and 1.
class Projection : public torch::nn::Module {
 public:
  Projection(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv_(register_module("0", plain_conv(in, out, 1, stride))), norm_(register_module("1", classifier_norm(out))) {}
  at::Tensor forward(const at::Tensor& x, BatchNormUse use) const { return norm_->forward(conv_->forward(x), use); }

 private:
  std::shared_ptr<Conv> conv_;
  std::shared_ptr<LaneBatchNorm> norm_;
};

class Block : public torch::nn::Module {
 public:
  Block(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1_(register_module("conv1", plain_conv(in, out, 3, stride))),
        bn1_(register_module("bn1", classifier_norm(out))),
        conv2_(register_module("conv2", plain_conv(out, out, 3, 1))),
        bn2_(register_module("bn2", classifier_norm(out))) {
    if (stride != 1 || in != out) shortcut_ = register_module("shortcut", std::make_shared<Projection>(in, out, stride));
  }
  at::Tensor forward(const at::Tensor& x, BatchNormUse use) const {
    const auto h = torch::relu(bn1_->forward(conv1_->forward(x), use));
    return torch::relu(bn2_->forward(conv2_->forward(h), use) + (shortcut_ ? shortcut_->forward(x, use) : x));
  }

 private:
  std::shared_ptr<Conv> conv1_;
  std::shared_ptr<LaneBatchNorm> bn1_;
  std::shared_ptr<Conv> conv2_;
  std::shared_ptr<LaneBatchNorm> bn2_;
  std::shared_ptr<Projection> shortcut_;  ///< null where it is the identity
};

class Resnet18 : public Classifier {
 public:
  explicit Resnet18(const ClassifierConfig& config)
      : width_(config.width), classes_(config.classes), normalised_(config.normalisation),
        conv1_(register_module("conv1", plain_conv(3, width_, 3, 1))),
        bn1_(register_module("bn1", classifier_norm(width_))), layer1_(group("layer1", width_, width_, 1)),
        layer2_(group("layer2", width_, 2 * width_, 2)), layer3_(group("layer3", 2 * width_, 4 * width_, 2)),
        layer4_(group("layer4", 4 * width_, 8 * width_, 2)),
        linear_(register_module("linear", std::make_shared<Linear>(8 * width_, classes_, /*with_bias=*/true))) {}

  ImageShape input() const override { return {3, 32, 32}; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t feature_length() const override { return 8 * width_; }
  at::Tensor logits(const at::Tensor& x) override { return linear_->forward(features(x)); }
  at::Tensor features(const at::Tensor& x) override {
    const auto use = norm_use();
    auto h = torch::relu(bn1_->forward(conv1_->forward(normalised_(x)), use));  // [B, w, 32, 32]
    for (const auto& layer : {layer1_, layer2_, layer3_, layer4_}) h = layer->forward(h, use);
    return h.mean({2, 3});  // [B, 8w]
  }

 private:
  std::shared_ptr<BlockGroup<Block>> group(const char* name, std::int64_t in, std::int64_t out, std::int64_t stride) {
    return register_module(name, std::make_shared<BlockGroup<Block>>(in, out, stride, 2));
  }

  std::int64_t width_, classes_;
  Normalisation normalised_;
  std::shared_ptr<Conv> conv1_;
  std::shared_ptr<LaneBatchNorm> bn1_;
  std::shared_ptr<BlockGroup<Block>> layer1_, layer2_, layer3_, layer4_;
  std::shared_ptr<Linear> linear_;
};

}  // namespace

std::shared_ptr<Classifier> make_resnet18(const ClassifierConfig& config) { return std::make_shared<Resnet18>(config); }

}  // namespace langrun
