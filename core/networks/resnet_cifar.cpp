#include "core/networks/resnet_cifar.h"

#include <utility>

#include "core/torch.h"

namespace langrun {
namespace {

/// 3x3 convolution without bias.
class Conv3x3 : public torch::nn::Module {
 public:
  Conv3x3(std::int64_t in, std::int64_t out, std::int64_t stride)
      : weight_(register_parameter("weight", torch::zeros({out, in, 3, 3}))), stride_(stride) {}
  /// [B, in, H, W] to [B, out, H / stride, W / stride]
  at::Tensor forward(const at::Tensor& x) { return at::conv2d(x, weight_, {}, stride_, 1); }

 private:
  at::Tensor weight_;
  std::int64_t stride_;
};

/// Batch norm by its running statistics, eps 1e-5.
class FrozenBatchNorm : public torch::nn::Module {
 public:
  explicit FrozenBatchNorm(std::int64_t channels)
      : weight_(register_parameter("weight", torch::ones({channels}))),
        bias_(register_parameter("bias", torch::zeros({channels}))),
        mean_(register_buffer("running_mean", torch::zeros({channels}))),
        variance_(register_buffer("running_var", torch::ones({channels}))) {}
  at::Tensor forward(const at::Tensor& x) {
    return at::batch_norm(x, weight_, bias_, mean_, variance_, /*training=*/false, 0.1, 1e-5, /*cudnn_enabled=*/true);
  }

 private:
  at::Tensor weight_, bias_, mean_, variance_;
};

/// Two convolutions with batch norm around an identity shortcut.
class Block : public torch::nn::Module {
 public:
  Block(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1_(register_module("conv1", std::make_shared<Conv3x3>(in, out, stride))),
        bn1_(register_module("bn1", std::make_shared<FrozenBatchNorm>(out))),
        conv2_(register_module("conv2", std::make_shared<Conv3x3>(out, out, 1))),
        bn2_(register_module("bn2", std::make_shared<FrozenBatchNorm>(out))), grows_(in != out) {}

  at::Tensor forward(const at::Tensor& x) {
    const auto inner = bn2_->forward(conv2_->forward(torch::relu(bn1_->forward(conv1_->forward(x)))));
    return torch::relu(inner + shortcut(x));
  }

 private:
  /// Option A: where the block halves the size and doubles the channels, every second pixel, and zeros in equal parts
  /// before and after for the channels that are new.
  at::Tensor shortcut(const at::Tensor& x) const {
    if (!grows_) return x;
    const auto extra = x.size(1) / 2;
    return at::constant_pad_nd(x.slice(2, 0, c10::nullopt, 2).slice(3, 0, c10::nullopt, 2), {0, 0, 0, 0, extra, extra});
  }

  std::shared_ptr<Conv3x3> conv1_;
  std::shared_ptr<FrozenBatchNorm> bn1_;
  std::shared_ptr<Conv3x3> conv2_;
  std::shared_ptr<FrozenBatchNorm> bn2_;
  bool grows_;
};

/// Blocks one after the other, named 0, 1, ...
class Group : public torch::nn::Module {
 public:
  Group(std::int64_t in, std::int64_t out, std::int64_t stride, std::int64_t blocks) {
    for (std::int64_t i = 0; i < blocks; ++i)
      blocks_.push_back(
          register_module(std::to_string(i), std::make_shared<Block>(i == 0 ? in : out, out, i == 0 ? stride : 1)));
  }
  at::Tensor forward(at::Tensor x) {
    for (auto& block : blocks_) x = block->forward(x);
    return x;
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
};

class Linear : public torch::nn::Module {
 public:
  Linear(std::int64_t in, std::int64_t out)
      : weight_(register_parameter("weight", torch::zeros({out, in}))),
        bias_(register_parameter("bias", torch::zeros({out}))) {}
  at::Tensor forward(const at::Tensor& x) { return at::linear(x, weight_, bias_); }

 private:
  at::Tensor weight_, bias_;
};

class ResnetCifar : public Classifier {
 public:
  ResnetCifar(std::int64_t blocks, std::int64_t classes)
      : conv1_(register_module("conv1", std::make_shared<Conv3x3>(3, 16, 1))),
        bn1_(register_module("bn1", std::make_shared<FrozenBatchNorm>(16))),
        layer1_(register_module("layer1", std::make_shared<Group>(16, 16, 1, blocks))),
        layer2_(register_module("layer2", std::make_shared<Group>(16, 32, 2, blocks))),
        layer3_(register_module("layer3", std::make_shared<Group>(32, 64, 2, blocks))),
        linear_(register_module("linear", std::make_shared<Linear>(64, classes))), classes_(classes) {}

  ImageShape input() const override { return {3, 32, 32}; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t feature_length() const override { return 64; }
  at::Tensor logits(const at::Tensor& x) override { return linear_->forward(features(x)); }
  at::Tensor features(const at::Tensor& x) override {
    auto h = torch::relu(bn1_->forward(conv1_->forward(normalised(x))));  // [B, 16, 32, 32]
    h = layer3_->forward(layer2_->forward(layer1_->forward(h)));          // [B, 64, 8, 8]
    return h.mean({2, 3});                                                // [B, 64]
  }

 private:
  /// [-1, 1] to [0, 1], then by the mean and deviation of ImageNet, as the published weights expect.
  static at::Tensor normalised(const at::Tensor& x) {
    const auto mean = torch::tensor({0.485f, 0.456f, 0.406f}, x.options()).view({1, 3, 1, 1});
    const auto deviation = torch::tensor({0.229f, 0.224f, 0.225f}, x.options()).view({1, 3, 1, 1});
    return ((x + 1) / 2 - mean) / deviation;
  }

  std::shared_ptr<Conv3x3> conv1_;
  std::shared_ptr<FrozenBatchNorm> bn1_;
  std::shared_ptr<Group> layer1_, layer2_, layer3_;
  std::shared_ptr<Linear> linear_;
  std::int64_t classes_;
};

}  // namespace

std::shared_ptr<Classifier> make_resnet_cifar(std::int64_t blocks, std::int64_t classes) {
  return std::make_shared<ResnetCifar>(blocks, classes);
}

}  // namespace langrun
