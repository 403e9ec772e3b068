#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/nearest.h"
#include "core/networks/blocks.h"
#include "core/networks/generator.h"
#include "core/networks/initialise.h"
#include "core/torch.h"
#include "core/upsample.h"

namespace langrun {
namespace {

/// up(i -> o) of networks.md: BN, ReLU, bilinear x2, conv3x3, BN, ReLU, conv3x3; shortcut bilinear x2, conv1x1.
class UpBlock : public torch::nn::Module {
 public:
  UpBlock(std::int64_t in, std::int64_t out) {
    bn1 = register_module("bn1", std::make_shared<LaneBatchNorm>(in));
    conv1 = register_module("conv1", std::make_shared<Conv>(ConvShape{in, out, 3, 1, 1}));
    bn2 = register_module("bn2", std::make_shared<LaneBatchNorm>(out));
    conv2 = register_module("conv2", std::make_shared<Conv>(ConvShape{out, out, 3, 1, 1}));
    shortcut = register_module("shortcut", std::make_shared<Conv>(ConvShape{in, out}));
  }

  at::Tensor forward(const at::Tensor& x, BatchNormUse use) {
    auto h = conv1->forward(upsample2(at::relu(bn1->forward(x, use))));
    h = conv2->forward(at::relu(bn2->forward(h, use)));
    // The weights of bilinear doubling sum to 1, so it commutes with a 1x1 convolution, bias included: a quarter of
    // the work.
    return h + upsample2(shortcut->forward(x));
  }

  std::shared_ptr<LaneBatchNorm> bn1, bn2;
  std::shared_ptr<Conv> conv1, conv2, shortcut;
};

/// linear to [widths[0], 4, 4], an up block to each further width, BN, ReLU, conv3x3 to 3, tanh.
class SnganGenerator : public Generator {
 public:
  SnganGenerator(std::int64_t latent, const std::vector<std::int64_t>& widths)
      : latent_(latent), size_(std::int64_t{4} << (widths.size() - 1)), first_(widths.front()) {
    linear_ = register_module("linear", std::make_shared<Linear>(latent, first_ * 4 * 4, /*with_bias=*/true));
    auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
    for (std::size_t i = 1; i < widths.size(); ++i) {
      auto block = std::make_shared<UpBlock>(widths[i - 1], widths[i]);
      blocks_.push_back(blocks->register_module(std::to_string(i - 1), block));
    }
    bn_ = register_module("bn", std::make_shared<LaneBatchNorm>(widths.back()));
    conv_ = register_module("conv", std::make_shared<Conv>(ConvShape{widths.back(), 3, 3, 1, 1}));
  }

  std::int64_t latent_length() const override { return latent_; }
  ImageShape output() const override { return {3, size_, size_}; }

  at::Tensor generate(const at::Tensor& z, BatchNormUse use) override {
    if (z.dim() != 2 || z.size(1) != latent_)
      throw Error(ExitCode::input, fmt::format("latents of shape [{}], the generator takes [B, {}]",
                                               fmt::join(z.sizes(), ", "), latent_));
    auto h = linear_->forward(z).view({-1, first_, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast);
    for (const auto& block : blocks_) h = block->forward(h, use);
    return at::tanh(conv_->forward(at::relu(bn_->forward(h, use))));
  }

  std::vector<std::shared_ptr<LaneBatchNorm>> batch_norms() const override {
    std::vector<std::shared_ptr<LaneBatchNorm>> norms;
    for (const auto& block : blocks_) norms.insert(norms.end(), {block->bn1, block->bn2});
    norms.push_back(bn_);
    return norms;
  }

 private:
  std::int64_t latent_, size_, first_;
  std::shared_ptr<Linear> linear_;
  std::vector<std::shared_ptr<UpBlock>> blocks_;
  std::shared_ptr<LaneBatchNorm> bn_;
  std::shared_ptr<Conv> conv_;
};

/// Channels at 4x4 and after each doubling; empty for an unknown name.
std::vector<std::int64_t> channel_widths(const std::string& network, std::int64_t width) {
  if (network == "sngan32") {
    const auto n = width > 0 ? width : 256;
    return {n, n, n, n};
  }
  const auto n = width > 0 ? width : 1024;
  if (network == "sngan64") return {n, n / 2, n / 4, n / 8, n / 16};
  if (network == "sngan128") return {n, n, n / 2, n / 4, n / 8, n / 16};
  return {};
}

}  // namespace

std::vector<std::string> generator_names() { return {"sngan32", "sngan64", "sngan128"}; }

std::shared_ptr<Generator> make_generator(const GeneratorConfig& config, std::uint64_t seed) {
  const auto widths = channel_widths(config.network, config.width);
  if (widths.empty()) {
    const auto close = nearest(config.network, generator_names());
    throw Error(ExitCode::usage,
                fmt::format("unknown generator '{}': expected {}", config.network, fmt::join(generator_names(), ", ")),
                close.empty() ? "" : fmt::format("did you mean {}?", close));
  }
  if (config.width < 0)
    throw Error(ExitCode::usage,
                fmt::format("generator of width {}: expected at least 1, or 0 for the paper's", config.width));
  if (config.network != "sngan32" && config.width % 16 != 0)
    throw Error(ExitCode::usage, fmt::format("{} at width {}: expected a multiple of 16", config.network, config.width),
                "its last block has a sixteenth of the width");
  if (config.latent < 1)
    throw Error(ExitCode::usage, fmt::format("latent of length {}: expected at least 1", config.latent));
  auto generator = std::make_shared<SnganGenerator>(config.latent, widths);
  initialise(*generator, WeightLaw::glorot, seed, "generator");
  return generator;
}

}  // namespace langrun
