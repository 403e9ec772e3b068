// SNGAN's generators of 32, 64 and 128 pixels (networks.md).
#pragma once

#include <memory>
#include <vector>

#include "core/networks/generator.h"
#include "core/networks/generator_blocks.h"

namespace langrun {

/// linear to [widths[0], 4, 4], an up block to each further width, BN, ReLU, conv3x3 to 3, tanh.
class SnganGenerator : public Generator {
 public:
  SnganGenerator(const GeneratorConfig& config, const std::vector<std::int64_t>& widths);

  std::int64_t latent_length() const override { return latent_; }
  ImageShape output() const override { return {3, size_, size_}; }
  at::Tensor generate(const at::Tensor& z, BatchNormUse use) override;
  std::vector<std::shared_ptr<LaneBatchNorm>> batch_norms() const override;

 private:
  std::int64_t latent_, size_, first_;
  std::shared_ptr<Linear> linear_;
  std::vector<std::shared_ptr<GeneratorBlock>> blocks_;
  std::unique_ptr<GeneratorEnd> end_;
};

/// Channels at 4x4 and after each doubling; empty where the network is none of these. width 0: the paper's.
std::vector<std::int64_t> sngan_widths(const std::string& network, std::int64_t width);

}  // namespace langrun
