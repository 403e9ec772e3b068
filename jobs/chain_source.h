// Where new chains come from: uniform noise, data, or a generator.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/images.h"
#include "core/noise.h"
#include "data/weights_file.h"
#include "jobs/training_data.h"

namespace langrun {

/// Chains before their first step, in host memory or on the device.
struct FreshChains {
  at::Tensor images;   ///< [b, C, H, W] float32
  at::Tensor latents;  ///< [b, nz] float32; nz = 0 where chains have none
};

/// Begins chains. What it makes for a slot is a function of (key, slot, step, the call's shape) and of weights that all
/// ranks share.
class ChainSource {
 public:
  virtual ~ChainSource() = default;
  /// Length of the latents that stay with a chain in its bank; 0: chains have none.
  virtual std::int64_t latent_length() const { return 0; }
  /// New chains for all of `slots` [b].
  virtual FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) = 0;
  /// Replaces those of `chains` (in host memory) where `anew` [b] bool is set.
  virtual void renew(FreshChains& chains, const at::Tensor& anew, const std::vector<std::uint64_t>& slots,
                     std::int64_t step, NoiseKey key);

  /// For the start table: "data", "sngan32 of runs/a, average weights".
  virtual std::string description() const = 0;
  /// What a checkpoint keeps of the source beside the learners' weights, so that a resume begins chains as before.
  virtual void copy_to(std::vector<WeightsPart>&) const {}
  /// Takes it back. Throws Error(input).
  virtual void restore(const WeightsFile&) {}
};

/// Uniform noise in [-1, 1].
class UniformSource final : public ChainSource {
 public:
  explicit UniformSource(const ImageShape& image) : image_(image) {}
  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) override;
  std::string description() const override { return "uniform noise"; }

 private:
  ImageShape image_;
};

/// Data images drawn at random, with replacement, without noise.
class DataSource final : public ChainSource {
 public:
  /// `data` must outlive it.
  explicit DataSource(TrainingData& data) : data_(data) {}
  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) override;
  std::string description() const override { return "data"; }

 private:
  TrainingData& data_;
};

}  // namespace langrun
