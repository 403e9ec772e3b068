// The two halves of a deterministic autoencoder of 32x32 images: its latent is a 16x16 map of one channel, on the sphere
// of radius sqrt(256) [HAT].
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/networks/blocks.h"
#include "core/networks/generator.h"
#include "core/networks/generator_blocks.h"

namespace langrun {

/// Side of the latent map, and so 256 numbers a latent.
inline constexpr std::int64_t kLatentSide = 16;
inline constexpr std::int64_t kLatentMap = kLatentSide * kLatentSide;

/// encoder32: energy blocks at width n, of which the second pools, ReLU, conv3x3 to one channel.
class Encoder : public torch::nn::Module {
 public:
  explicit Encoder(std::int64_t width);
  ImageShape input() const { return {3, 2 * kLatentSide, 2 * kLatentSide}; }
  /// x [B, 3, 32, 32] float32 in [-1, 1] to latents [B, 256] on the sphere. Throws Error(input) for another shape.
  at::Tensor encode(const at::Tensor& x);

 private:
  std::vector<std::shared_ptr<ResBlock>> blocks_;
  std::shared_ptr<Conv> conv_;
};

/// decoder32: a stem, an up block, two blocks without doubling, at width n.
class Decoder : public Generator {
 public:
  explicit Decoder(const GeneratorConfig& config);

  std::int64_t latent_length() const override { return kLatentMap; }
  ImageShape output() const override { return {3, 2 * kLatentSide, 2 * kLatentSide}; }
  at::Tensor generate(const at::Tensor& z, BatchNormUse use) override;
  std::vector<std::shared_ptr<LaneBatchNorm>> batch_norms() const override;

 private:
  std::vector<std::shared_ptr<GeneratorBlock>> blocks_;
  std::unique_ptr<GeneratorEnd> end_;
};

/// A new encoder: Glorot-uniform kernels and zero biases from `seed`. Throws Error(usage) for an unknown name or a width
/// that cannot be.
std::shared_ptr<Encoder> make_encoder(const EncoderConfig& config, std::uint64_t seed);

}  // namespace langrun
