// A network that learns: its weights, their moving average, its optimiser, and the reduction of its gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/chain_sampler.h"
#include "core/module_tensors.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/optimizer.h"
#include "core/schedule.h"
#include "jobs/module_weights.h"
#include "jobs/reduction.h"
#include "jobs/training.h"

namespace langrun {

/// Gradients and a few scalars of one network, from lanes to everybody. While the backward pass of a rank's last lane
/// still runs, the gradients that are complete are on their way already, in buckets of weights from the last layer
/// backwards.
class GradientReduction {
 public:
  /// Runs one lane's backward pass, which leaves gradients in the weights, and returns the lane's extras.
  using LaneGradients = std::function<std::vector<float>()>;

  GradientReduction(NamedTensors weights, std::size_t extras);
  /// `owned`: lanes of this rank.
  void connect(std::unique_ptr<Reducer> reducer, std::int64_t owned);
  /// Floats in one lane's vector: the extras, then all weights.
  std::size_t elements() const { return starts_.back(); }
  /// Takes one lane's gradients out of the weights. Once per owned lane, in lane order. The last begins the exchange:
  /// collective, but does not wait.
  void add_lane(const LaneGradients& gradients);
  /// Collective, all ranks, after every owned lane was added: waits for the exchange.
  void wait();
  /// After `wait`: leaves the mean gradient over lanes in the weights; returns the extras' sums over lanes. Throws
  /// Error(diverged), on all ranks alike, where any of the sums is not finite.
  std::vector<float> take(std::int64_t lanes, const char* name);
  /// Seconds that the calling thread has worked and waited for the exchange since the last call.
  double take_seconds() { return std::exchange(seconds_, 0); }

 private:
  template <typename Call>
  void timed(const Call& call);

  NamedTensors weights_;
  std::size_t extras_;
  std::vector<std::size_t> starts_;    // of each weight in the vector, and its length
  std::vector<std::size_t> bucket_;    // the bucket of each weight
  std::vector<std::size_t> first_;     // where each bucket begins; they are begun in this order, from the back
  std::vector<std::int64_t> missing_;  // gradients that each bucket lacks before a backward pass
  std::int64_t added_ = 0, owned_ = 0;
  double seconds_ = 0;
  std::unique_ptr<Reducer> reducer_;
  std::span<const float> sum_;
};

/// An energy that learns. A step is add_lane for each owned lane, in order, then wait, take and apply.
class EnergyLearner {
 public:
  /// Weights from training.seed. `extras`: scalars that ride along with the gradients. Throws Error(usage) for settings
  /// that no network has.
  EnergyLearner(const EnergyConfig& energy, const LearningConfig& learning, const TrainingConfig& training,
                const at::Device& device, const Reduction& reduction, std::size_t extras);

  ImageShape image() const { return network_->input(); }
  Energy& network() { return *network_; }
  const Energy& network() const { return *network_; }
  bool has_average() const { return average_ != nullptr; }
  /// Of the optimiser that takes this step.
  double learning_rate(std::int64_t step) const;

  /// Gives the sampler the present weights (or their average).
  void refresh_frozen(bool average = false);
  /// Chains under the weights of the last refresh.
  ChainSampler& sampler() { return sampler_; }

  /// See GradientReduction, also for the two that follow.
  void add_lane(const GradientReduction::LaneGradients& gradients) { reduction_.add_lane(gradients); }
  void wait() { reduction_.wait(); }
  std::vector<float> take() { return reduction_.take(lanes_, "energy gradients"); }
  double take_seconds() { return reduction_.take_seconds(); }
  /// Clip, optimiser step at this step's rate, average. Returns how many tensors' gradients were clipped.
  std::int64_t apply(std::int64_t step);
  /// All rates from now on, times `factor`.
  void scale_rates(double factor) { rate_factor_ = factor; }

  /// Adds copies of the parts `energy` and `energy_average`.
  void copy_to(std::vector<WeightsPart>& parts) const;
  /// Throws Error(input) where a part or tensor is missing or has another shape.
  void load(const WeightsFile& file);
  /// Begins from another training's weights, the average where it is kept. Throws as `load`.
  void begin_from(const WeightsFile& file);
  /// State of its optimisers; every name begins with "energy.", of one that takes over later with "energy.later.".
  NamedTensors optimizer_state() const;
  void restore_optimizer(const NamedTensors& state);

 private:
  LearningConfig config_;
  EnergyConfig energy_;
  std::int64_t lanes_;
  std::shared_ptr<Energy> network_, average_;
  ChainSampler sampler_;
  Optimizer optimizer_;
  std::optional<Optimizer> later_;  ///< plain SGD, from a stated step on
  Schedule schedule_;
  double rate_factor_ = 1;
  GradientReduction reduction_;
};

/// A generator that learns. A step is add_lane for each owned lane, in order, then wait, take and apply.
class GeneratorLearner {
 public:
  /// Weights from training.seed. `batch_norm`: what its layers do in training. Throws Error(usage) where it does not
  /// make images of shape `image`.
  GeneratorLearner(const GeneratorConfig& generator, const LearningConfig& learning, BatchNormUse batch_norm,
                   const TrainingConfig& training, const at::Device& device, const Reduction& reduction,
                   const ImageShape& image);

  bool has_average() const { return average_ != nullptr; }
  std::int64_t latent_length() const { return network_->latent_length(); }
  std::int64_t weights() const { return weight_count(*network_); }
  double learning_rate(std::int64_t step) const { return schedule_.at(step) * rate_factor_; }
  /// All rates from now on, times `factor`.
  void scale_rates(double factor) { rate_factor_ = factor; }
  /// g(z) as training runs it: batch norm over this call's samples, or off. latents [b, nz]; images on the CPU or GPU
  /// as the network is.
  at::Tensor images(const at::Tensor& latents);
  /// g(z) as evaluation runs it: running statistics, averaged weights where they are kept.
  at::Tensor images_for_evaluation(const at::Tensor& latents);
  /// The same two under autograd, differentiable in the latents, with the weights held constant.
  at::Tensor differentiable(const at::Tensor& latents, bool for_evaluation);

  /// Latents of a lane, inferred from its chains; see infer_latents.
  at::Tensor infer(const at::Tensor& latents, const at::Tensor& images, const InferenceConfig& config, NoiseKey key,
                   const std::vector<std::uint64_t>& identities);
  /// One lane's loss and gradients, on its way into the reduction; see GradientReduction, also for what follows.
  /// `weight`: see generator_lane_gradients.
  void add_lane(const at::Tensor& latents, const at::Tensor& images, double weight = 1);
  void wait() { reduction_.wait(); }
  /// Returns the loss, mean over lanes.
  double take();
  double take_seconds() { return reduction_.take_seconds(); }
  /// Clip, optimiser step at this step's rate, running statistics, average.
  void apply(std::int64_t step);

  /// Adds copies of the parts `generator` and `generator_average`.
  void copy_to(std::vector<WeightsPart>& parts) const;
  /// Throws Error(input) where a part or tensor is missing or has another shape.
  void load(const WeightsFile& file);
  /// Optimiser state; every name begins with "generator.".
  NamedTensors optimizer_state() const;
  void restore_optimizer(const NamedTensors& state);

 private:
  std::size_t extras() const;

  LearningConfig config_;
  GeneratorConfig generator_;
  std::int64_t lanes_;
  BatchNormUse training_use_, evaluation_use_;
  at::Device device_;
  std::shared_ptr<Generator> network_, average_;
  Optimizer optimizer_;
  Schedule schedule_;
  double rate_factor_ = 1;
  GradientReduction reduction_;
  std::vector<float> sums_;
};

}  // namespace langrun
