// An encoder and a decoder that learn together on all ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/networks/autoencoder.h"
#include "core/optimizer.h"
#include "core/schedule.h"
#include "jobs/autoencoder.h"
#include "jobs/learner.h"
#include "jobs/reduction.h"

namespace langrun {

/// A step is add_lane for each owned lane, in order, then wait, take and apply.
class AutoencoderLearner {
 public:
  /// Weights from training.seed. Throws Error(usage) for settings that no network has.
  AutoencoderLearner(const AutoencoderConfig& config, const at::Device& device, const Reduction& reduction);

  ImageShape image() const { return encoder_->input(); }
  std::int64_t weights() const { return weight_count(*encoder_) + weight_count(*decoder_); }
  double learning_rate(std::int64_t step) const { return schedule_.at(step) * rate_factor_; }
  /// All rates from now on, times `factor`.
  void scale_rates(double factor) { rate_factor_ = factor; }

  /// One lane's loss, 1000 times the mean over pixels of (decoder(encoder(x) + noise) - x)^2, and its gradients, on
  /// their way into the reduction; see GradientReduction, also for what follows. images [b, C, H, W], noise [b, nz].
  void add_lane(const at::Tensor& images, const at::Tensor& noise);
  void wait() { reduction_.wait(); }
  /// Returns the loss, mean over lanes.
  double take();
  double take_seconds() { return reduction_.take_seconds(); }
  /// Clip, optimiser step at this step's rate, average. Returns how many tensors' gradients were clipped.
  std::int64_t apply(std::int64_t step);

  /// What pictures show, in averaged weights where they are kept: latents of images, images of latents.
  at::Tensor encode(const at::Tensor& images);
  at::Tensor decode(const at::Tensor& latents);

  /// Copies of the parts `encoder`, `generator` (the decoder), their averages, and `optimizer`.
  std::vector<WeightsPart> parts() const;
  /// Takes them back. Throws Error(input) where a part or tensor is missing or has another shape.
  void restore(const WeightsFile& file);

 private:
  NamedTensors optimizer_state() const;

  AutoencoderConfig config_;
  at::Device device_;
  std::shared_ptr<Encoder> encoder_, encoder_average_;
  std::shared_ptr<Generator> decoder_, decoder_average_;
  Optimizer encoder_optimizer_, decoder_optimizer_;
  Schedule schedule_;
  double rate_factor_ = 1;
  GradientReduction reduction_;
};

}  // namespace langrun
