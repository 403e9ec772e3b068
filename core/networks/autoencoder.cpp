#include "core/networks/autoencoder.h"

#include <fmt/format.h>

#include <string>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/networks/initialise.h"
#include "core/sphere.h"
#include "core/torch.h"

namespace langrun {
namespace {

constexpr std::int64_t kWidth = 256;
constexpr std::int64_t kBlocks = 4;

}  // namespace

Encoder::Encoder(std::int64_t width) {
  const auto n = width > 0 ? width : kWidth;
  auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    const ResBlockShape shape{i == 0 ? 3 : n, n, /*pool=*/i == 1, /*stem=*/i == 0};
    blocks_.push_back(blocks->register_module(std::to_string(i), std::make_shared<ResBlock>(shape)));
  }
  conv_ = register_module("conv", std::make_shared<Conv>(ConvShape{n, 1, 3, 1, 1}));
}

at::Tensor Encoder::encode(const at::Tensor& x) {
  check_images(x, input());
  auto h = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& block : blocks_) h = block->forward(h);
  return on_sphere(conv_->forward(at::relu(h)).flatten(1));
}

Decoder::Decoder(const GeneratorConfig& config) {
  const auto n = config.width > 0 ? config.width : kWidth;
  auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    const GeneratorBlockShape shape{i == 0 ? 1 : n, n, /*up=*/i == 1, /*stem=*/i == 0};
    blocks_.push_back(blocks->register_module(std::to_string(i), std::make_shared<GeneratorBlock>(shape)));
  }
  end_ = std::make_unique<GeneratorEnd>(*this, n, config.factor);
}

at::Tensor Decoder::generate(const at::Tensor& z, BatchNormUse use) {
  check_latents(z, kLatentMap);
  auto h = z.view({-1, 1, kLatentSide, kLatentSide}).contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& block : blocks_) h = block->forward(h, use);
  return end_->forward(h, use);
}

std::vector<std::shared_ptr<LaneBatchNorm>> Decoder::batch_norms() const {
  std::vector<std::shared_ptr<LaneBatchNorm>> norms;
  for (const auto& block : blocks_)
    for (const auto& norm : block->batch_norms()) norms.push_back(norm);
  norms.push_back(end_->batch_norm());
  return norms;
}

std::shared_ptr<Encoder> make_encoder(const EncoderConfig& config, std::uint64_t seed) {
  if (config.network != "encoder32")
    throw Error(ExitCode::usage, fmt::format("unknown encoder '{}': expected encoder32", config.network));
  if (config.width < 0)
    throw Error(ExitCode::usage,
                fmt::format("encoder of width {}: expected at least 1, or 0 for the paper's", config.width));
  auto encoder = std::make_shared<Encoder>(config.width);
  initialise(*encoder, WeightLaw::glorot, seed, "encoder");
  return encoder;
}

}  // namespace langrun
