#include "jobs/classifier_learner.h"

#include "core/torch.h"
#include "core/updates.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

/// Scalars at the front of the reduction; the statistics of the batch-norm layers follow.
enum Scalar { kLoss, kCorrect, kScalars };

std::shared_ptr<Classifier> classifier_on(const ClassifierConfig& config, std::int64_t seed, const at::Device& device) {
  auto network = make_classifier(config, static_cast<std::uint64_t>(seed));
  network->to(device);
  return network;
}

}  // namespace

ClassifierLearner::ClassifierLearner(const ClassifierConfig& classifier, const LearningConfig& learning,
                                     const TrainingConfig& training, const at::Device& device,
                                     const Reduction& reduction, std::vector<std::string> classes)
    : classifier_(classifier), classes_(std::move(classes)), config_(learning), lanes_(training.lanes), device_(device),
      network_(classifier_on(classifier, training.seed, device)),
      average_(config_.average > 0 ? classifier_on(classifier, training.seed, device) : nullptr),
      norms_(network_->batch_norms()), optimizer_(*network_, config_.optimizer),
      schedule_(parse_schedule(config_.learning_rate, config_.drops)), reduction_(named_weights(*network_), extras()) {
  network_->train();
  if (average_)
    for (auto& weight : average_->parameters()) weight.set_requires_grad(false);
  reduction_.connect(reduction.make(reduction_.elements(), "classifier gradients"), reduction.owned_lanes());
}

std::size_t ClassifierLearner::extras() const {
  std::size_t count = kScalars;
  for (const auto& layer : norms_) count += 2 * static_cast<std::size_t>(layer->weight.numel());
  return count;
}

Classifier& ClassifierLearner::begin_judging() {
  network_->eval();
  return average_ ? *average_ : *network_;
}

void ClassifierLearner::add_lane(const at::Tensor& images, const at::Tensor& labels) {
  const torch::AutoGradMode learning(true);
  reduction_.add_lane([&] {
    const auto result = classifier_lane_gradients(*network_, images, labels);
    std::vector<float> extras(kScalars);
    extras[kLoss] = result.loss;
    extras[kCorrect] = result.correct;
    for (const auto& layer : norms_)
      for (const auto& statistic : {layer->lane_mean, layer->lane_variance}) {
        const auto values = statistic.to(torch::kCPU).contiguous();
        extras.insert(extras.end(), values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
      }
    return extras;
  });
}

ClassifierLearner::Result ClassifierLearner::take() {
  sums_ = reduction_.take(lanes_, "classifier gradients");
  return {sums_[kLoss] / static_cast<double>(lanes_), sums_[kCorrect]};
}

std::int64_t ClassifierLearner::apply(std::int64_t step) {
  const auto clipped = clip_gradients(named_weights(*network_), config_.max_norm);
  optimizer_.step(learning_rate(step));
  move_running();
  if (average_) move_average(*network_, *average_, config_.average);
  return clipped;
}

// Design invariant 1: running statistics are the lanes' averaged in tree order, once a step.
void ClassifierLearner::move_running() {
  auto* at = sums_.data() + kScalars;
  const auto take = [&](std::int64_t channels) {
    const auto mean = torch::from_blob(at, {channels}).div(static_cast<double>(lanes_)).to(device_);
    at += channels;
    return mean;
  };
  for (const auto& layer : norms_) {
    const auto mean = take(layer->weight.numel()), variance = take(layer->weight.numel());
    layer->move_running(mean, variance);
  }
}

std::vector<WeightsPart> ClassifierLearner::parts() const {
  auto facts = facts_of(classifier_);
  add_class_names(facts, classes_);
  std::vector<WeightsPart> parts;
  parts.push_back(copied_part("classifier", named_state(*network_), facts));
  if (average_) parts.push_back(copied_part("classifier_average", named_state(*average_), facts));
  parts.push_back(copied_part("optimizer", optimizer_.state(), {}));
  return parts;
}

void ClassifierLearner::restore(const WeightsFile& file) {
  read_part(file, "classifier", named_state(*network_));
  if (average_) read_part(file, "classifier_average", named_state(*average_));
  auto state = optimizer_.state();
  for (auto& [name, tensor] : state) tensor = torch::empty_like(tensor);
  if (!state.empty()) read_part(file, "optimizer", state);
  optimizer_.restore(state);
}

}  // namespace langrun
