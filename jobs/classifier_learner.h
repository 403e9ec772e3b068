// A classifier that learns on all ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/networks/classifier.h"
#include "core/optimizer.h"
#include "core/schedule.h"
#include "jobs/learner.h"
#include "jobs/reduction.h"
#include "jobs/training.h"

namespace langrun {

/// A step is add_lane for each owned lane, in order, then wait, take and apply.
class ClassifierLearner {
 public:
  /// Weights from training.seed; `classes` are names that are kept beside them. Throws Error(usage) for settings that no
  /// network has.
  ClassifierLearner(const ClassifierConfig& classifier, const LearningConfig& learning, const TrainingConfig& training,
                    const at::Device& device, const Reduction& reduction, std::vector<std::string> classes);

  /// In training mode: batch norm takes the lane's statistics.
  Classifier& network() { return *network_; }
  /// What is to be judged: the averaged weights where they are kept. In evaluation mode until `end_judging`.
  Classifier& begin_judging();
  void end_judging() { network_->train(); }
  std::int64_t weights() const { return weight_count(*network_); }
  double learning_rate(std::int64_t step) const { return schedule_.at(step) * rate_factor_; }
  /// All rates from now on, times `factor`.
  void scale_rates(double factor) { rate_factor_ = factor; }

  /// One lane's loss and gradients, on its way into the reduction; see GradientReduction, also for what follows.
  /// images [b, C, H, W] float32 in [-1, 1], labels [b] int64.
  void add_lane(const at::Tensor& images, const at::Tensor& labels);
  void wait() { reduction_.wait(); }
  struct Result {
    double loss = 0;     ///< mean over the batch
    double correct = 0;  ///< images of the batch
  };
  Result take();
  double take_seconds() { return reduction_.take_seconds(); }
  /// Clip, optimiser step at this step's rate, running statistics, average. Returns how many tensors' gradients were
  /// clipped.
  std::int64_t apply(std::int64_t step);

  /// Copies of the parts `classifier`, `classifier_average` and `optimizer`.
  std::vector<WeightsPart> parts() const;
  /// Takes them back. Throws Error(input) where a part or tensor is missing or has another shape.
  void restore(const WeightsFile& file);

 private:
  std::size_t extras() const;
  void move_running();

  ClassifierConfig classifier_;
  std::vector<std::string> classes_;
  LearningConfig config_;
  std::int64_t lanes_;
  at::Device device_;
  std::shared_ptr<Classifier> network_, average_;
  std::vector<std::shared_ptr<LaneBatchNorm>> norms_;
  Optimizer optimizer_;
  Schedule schedule_;
  double rate_factor_ = 1;
  GradientReduction reduction_;
  std::vector<float> sums_;
};

}  // namespace langrun
