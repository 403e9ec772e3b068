#include "core/networks/sngan_generator.h"

#include "core/torch.h"

namespace langrun {

SnganGenerator::SnganGenerator(const GeneratorConfig& config, const std::vector<std::int64_t>& widths)
    : latent_(config.latent), size_(std::int64_t{4} << (widths.size() - 1)), first_(widths.front()) {
  linear_ = register_module("linear", std::make_shared<Linear>(latent_, first_ * 4 * 4, /*with_bias=*/true));
  auto blocks = register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::size_t i = 1; i < widths.size(); ++i) {
    auto block = std::make_shared<GeneratorBlock>(GeneratorBlockShape{widths[i - 1], widths[i]});
    blocks_.push_back(blocks->register_module(std::to_string(i - 1), block));
  }
  end_ = std::make_unique<GeneratorEnd>(*this, widths.back(), config.factor);
}

at::Tensor SnganGenerator::generate(const at::Tensor& z, BatchNormUse use) {
  check_latents(z, latent_);
  auto h = linear_->forward(z).view({-1, first_, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& block : blocks_) h = block->forward(h, use);
  return end_->forward(h, use);
}

std::vector<std::shared_ptr<LaneBatchNorm>> SnganGenerator::batch_norms() const {
  std::vector<std::shared_ptr<LaneBatchNorm>> norms;
  for (const auto& block : blocks_)
    for (const auto& norm : block->batch_norms()) norms.push_back(norm);
  norms.push_back(end_->batch_norm());
  return norms;
}

std::vector<std::int64_t> sngan_widths(const std::string& network, std::int64_t width) {
  if (network == "sngan32") {
    const auto n = width > 0 ? width : 256;
    return {n, n, n, n};
  }
  const auto n = width > 0 ? width : 1024;
  if (network == "sngan64") return {n, n / 2, n / 4, n / 8, n / 16};
  if (network == "sngan128") return {n, n, n / 2, n / 4, n / 8, n / 16};
  return {};
}

}  // namespace langrun
