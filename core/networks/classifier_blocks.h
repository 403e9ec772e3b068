// What the built-in classifiers share.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "core/networks/batch_norm.h"
#include "core/networks/blocks.h"
#include "core/networks/classifier.h"

namespace langrun {

/// Batch norm of classifiers: eps 1e-5, momentum 0.1, as in PyTorch's classifiers.
std::shared_ptr<LaneBatchNorm> classifier_norm(std::int64_t channels);

/// A square convolution without bias that keeps the size, or divides it by `stride`.
std::shared_ptr<Conv> plain_conv(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride);

/// Images [B, 3, H, W] in [-1, 1] as a network was trained to see them. Throws Error(usage) for an unknown name.
class Normalisation {
 public:
  /// `name`: none ([-1, 1] as it is), or cifar10 or imagenet: [0, 1], less the mean and over the deviation of those
  /// training images.
  explicit Normalisation(const std::string& name);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  std::vector<float> mean_, deviation_;  ///< of red, green, blue on [0, 1]; empty: none
};

/// Blocks one after the other, named 0, 1, ...; Block(in, out, stride) with forward(x, use).
template <typename Block>
class BlockGroup : public torch::nn::Module {
 public:
  /// The first block goes from `in` to `out` channels and divides the size by `stride`.
  BlockGroup(std::int64_t in, std::int64_t out, std::int64_t stride, std::int64_t blocks) {
    for (std::int64_t i = 0; i < blocks; ++i)
      blocks_.push_back(
          register_module(std::to_string(i), std::make_shared<Block>(i == 0 ? in : out, out, i == 0 ? stride : 1)));
  }
  at::Tensor forward(at::Tensor x, BatchNormUse use) const {
    for (const auto& block : blocks_) x = block->forward(x, use);
    return x;
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
};

}  // namespace langrun
