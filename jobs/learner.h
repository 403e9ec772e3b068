// A network that learns: its weights, their moving average, its optimiser, and the reduction of its gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
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

/// Gradients and a few scalars of one network, from lanes to everybody.
class GradientReduction {
 public:
  GradientReduction(NamedTensors weights, std::size_t extras) : weights_(std::move(weights)), extras_(extras) {}
  void connect(std::unique_ptr<Reducer> reducer);
  /// Floats in one lane's vector: all weights, then the extras.
  std::size_t elements() const;
  /// Takes the gradients that one lane left in the weights, and its extras. Once per owned lane, in lane order.
  void add_lane(std::span<const float> extras);
  /// Collective, all ranks, after every owned lane was added. Leaves the mean gradient over lanes in the weights;
  /// returns the extras' sums over lanes. Throws Error(diverged), on all ranks alike, where any of the sums is not
  /// finite.
  std::vector<float> reduce(const char* name, std::int64_t lanes);

 private:
  NamedTensors weights_;
  std::size_t extras_;
  std::vector<float> lane_;
  std::unique_ptr<Reducer> reducer_;
};

/// An energy that learns. A step is add_lane for each owned lane, in order, then reduce, then apply.
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
  double learning_rate(std::int64_t step) const { return schedule_.at(step); }

  /// Gives the sampler the present weights (or their average).
  void refresh_frozen(bool average = false);
  /// Chains under the weights of the last refresh.
  ChainSampler& sampler() { return sampler_; }

  void add_lane(std::span<const float> extras) { reduction_.add_lane(extras); }
  /// Collective, all ranks; see GradientReduction::reduce.
  std::vector<float> reduce(const char* name) { return reduction_.reduce(name, lanes_); }
  /// Clip, optimiser step at this step's rate, average.
  void apply(std::int64_t step);

  /// The parts `energy` and `energy_average`.
  void save(h5::File& file) const;
  /// Throws Error(input) where a part or tensor is missing or has another shape.
  void load(const WeightsFile& file);
  /// Optimiser state; every name begins with "energy.".
  NamedTensors optimizer_state() const;
  void restore_optimizer(const NamedTensors& state);

 private:
  LearningConfig config_;
  EnergyConfig energy_;
  std::int64_t lanes_;
  std::shared_ptr<Energy> network_, average_;
  ChainSampler sampler_;
  Optimizer optimizer_;
  Schedule schedule_;
  GradientReduction reduction_;
};

/// A generator that learns. A step is add_lane for each owned lane, in order, then reduce, then apply.
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
  double learning_rate(std::int64_t step) const { return schedule_.at(step); }
  /// g(z) as training runs it: batch norm over this call's samples, or off. latents [b, nz]; images on the CPU or GPU
  /// as the network is.
  at::Tensor images(const at::Tensor& latents);
  /// g(z) as evaluation runs it: running statistics, averaged weights where they are kept.
  at::Tensor images_for_evaluation(const at::Tensor& latents);

  /// One lane's loss and gradients, on its way into the reduction.
  void add_lane(const at::Tensor& latents, const at::Tensor& images);
  /// Collective, all ranks; see GradientReduction::reduce. Returns the loss, mean over lanes.
  double reduce(const char* name);
  /// Clip, optimiser step at this step's rate, running statistics, average.
  void apply(std::int64_t step);

  /// The parts `generator` and `generator_average`.
  void save(h5::File& file) const;
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
  GradientReduction reduction_;
  std::vector<float> sums_;
};

}  // namespace langrun
