#include "jobs/learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/gradient_watch.h"
#include "core/latent_inference.h"
#include "core/torch.h"
#include "core/updates.h"
#include "jobs/network_facts.h"
#include "jobs/weights_source.h"

namespace langrun {
namespace {

std::shared_ptr<Energy> energy_on(const EnergyConfig& config, std::int64_t seed, const at::Device& device) {
  auto network = make_energy(config, static_cast<std::uint64_t>(seed));
  network->to(device);
  return network;
}

std::shared_ptr<Generator> generator_on(const GeneratorConfig& config, std::int64_t seed, const at::Device& device) {
  auto network = make_generator(config, static_cast<std::uint64_t>(seed));
  network->to(device);
  return network;
}

NamedTensors prefixed(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors renamed;
  for (const auto& [name, tensor] : tensors) renamed.emplace_back(prefix + name, tensor);
  return renamed;
}

NamedTensors without_prefix(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors own;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(prefix)) own.emplace_back(name.substr(prefix.size()), tensor);
  return own;
}

// Floats of a bucket of gradients at least: small enough that a small network's last layers do not wait for its first.
constexpr std::size_t kBucket = std::size_t{1} << 17;

bool all_finite(std::span<const float> values) {
  // Without a way out of the loop, which would keep the compiler from using vectors.
  int bad = 0;
  for (const float value : values) bad |= !(std::abs(value) <= std::numeric_limits<float>::max());
  return bad == 0;
}

}  // namespace

GradientReduction::GradientReduction(NamedTensors weights, std::size_t extras)
    : weights_(std::move(weights)), extras_(extras), starts_{extras} {
  for (const auto& [name, weight] : weights_)
    starts_.push_back(starts_.back() + static_cast<std::size_t>(weight.numel()));
  // Design invariant 4: buckets follow from the weights alone, so every rank begins the same ones in the same order.
  bucket_.resize(weights_.size());
  std::size_t end = starts_.back();
  missing_.push_back(0);
  for (std::size_t i = weights_.size(); i-- > 0;) {
    bucket_[i] = missing_.size() - 1;
    ++missing_.back();
    if (i == 0 || end - starts_[i] < kBucket) continue;
    first_.push_back(starts_[i]);
    end = starts_[i];
    missing_.push_back(0);
  }
  first_.push_back(0);  // with the extras, which come last
}

void GradientReduction::connect(std::unique_ptr<Reducer> reducer, std::int64_t owned) {
  reducer_ = std::move(reducer);
  owned_ = owned;
}

template <typename Call>
void GradientReduction::timed(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void GradientReduction::add_lane(const LaneGradients& gradients) {
  const auto lane = reducer_->lane();
  const auto take_weight = [&](std::size_t i) {
    take_gradient(weights_[i].second, lane.subspan(starts_[i], starts_[i + 1] - starts_[i]));
  };
  std::vector<bool> taken(weights_.size());
  auto missing = missing_;
  std::size_t begun = 0;
  const bool last = added_ == owned_ - 1;
  std::vector<float> extras;
  {
    // On GPUs gradients come from threads of autograd's own, which must not call MPI.
    std::optional<GradientWatch> watch;
    if (weights_.front().second.is_cpu())
      watch.emplace(weights_, [&](std::size_t i) {
        take_weight(i);
        taken[i] = true;
        --missing[bucket_[i]];
        // A bucket that is complete before its turn waits: the order of beginning is the same on every rank. The one
        // with the extras, which are not known yet, is begun by Reducer::add.
        for (; last && begun + 1 < first_.size() && missing[begun] == 0; ++begun)
          timed([&] { reducer_->begin_from(first_[begun]); });
        timed([&] { reducer_->progress(); });
      });
    extras = gradients();
  }
  for (std::size_t i = 0; i < weights_.size(); ++i)
    if (!taken[i]) take_weight(i);
  std::copy(extras.begin(), extras.end(), lane.begin());
  for (; last && begun + 1 < first_.size(); ++begun) timed([&] { reducer_->begin_from(first_[begun]); });
  if (last)
    timed([&] { reducer_->add(); });
  else
    reducer_->add();
  ++added_;
}

void GradientReduction::wait() {
  timed([&] { sum_ = reducer_->finalize(); });
  added_ = 0;
}

std::vector<float> GradientReduction::take(std::int64_t lanes, const char* name) {
  // Before it is applied: a weight that once took an infinite gradient, and every checkpoint after, would be lost. The
  // sum has the same bits on every rank, and so has the verdict.
  if (!all_finite(sum_))
    throw Error(ExitCode::diverged, fmt::format("diverged: the {} are not finite", name),
                "begin a new run with a smaller learning rate or --langevin.eta, or with more --data.noise");
  // The number of lanes is a power of two, so the mean is exact where the sum is.
  set_gradients(weights_, sum_.subspan(extras_), 1.0 / static_cast<double>(lanes));
  return {sum_.begin(), sum_.begin() + static_cast<std::ptrdiff_t>(extras_)};
}

EnergyLearner::EnergyLearner(const EnergyConfig& energy, const LearningConfig& learning, const TrainingConfig& training,
                             const at::Device& device, const Reduction& reduction, std::size_t extras)
    : config_(learning), energy_(energy), lanes_(training.lanes), network_(energy_on(energy, training.seed, device)),
      average_(config_.average > 0 ? energy_on(energy, training.seed, device) : nullptr),
      sampler_(energy, training.precision, device), optimizer_(*network_, config_.optimizer),
      schedule_(parse_schedule(config_.learning_rate, config_.drops)), reduction_(named_weights(*network_), extras) {
  if (average_) hold_constant(*average_);
  if (config_.sgd_from > 0) {
    auto sgd = config_.optimizer;
    sgd.kind = "sgd";
    later_.emplace(*network_, sgd);
  }
  reduction_.connect(reduction.make(reduction_.elements(), "energy gradients"), reduction.owned_lanes());
}

void EnergyLearner::refresh_frozen(bool average) { sampler_.refresh(average && average_ ? *average_ : *network_); }

double EnergyLearner::learning_rate(std::int64_t step) const {
  return (later_ && step > config_.sgd_from ? config_.sgd_rate : schedule_.at(step)) * rate_factor_;
}

std::int64_t EnergyLearner::apply(std::int64_t step) {
  const auto clipped = clip_gradients(named_weights(*network_), config_.max_norm);
  auto& optimizer = later_ && step > config_.sgd_from ? *later_ : optimizer_;
  optimizer.step(learning_rate(step));
  if (average_) move_average(*network_, *average_, config_.average);
  return clipped;
}

void EnergyLearner::copy_to(std::vector<WeightsPart>& parts) const {
  parts.push_back(copied_part("energy", named_state(*network_), facts_of(energy_)));
  if (average_) parts.push_back(copied_part("energy_average", named_state(*average_), facts_of(energy_)));
}

void EnergyLearner::load(const WeightsFile& file) {
  read_part(file, "energy", named_state(*network_));
  if (average_) read_part(file, "energy_average", named_state(*average_));
}

void EnergyLearner::begin_from(const WeightsFile& file) {
  const auto part = chosen_part(file, "energy", "best");
  read_part(file, part, named_state(*network_));
  if (average_) read_part(file, part, named_state(*average_));
}

NamedTensors EnergyLearner::optimizer_state() const {
  auto state = prefixed("energy.", optimizer_.state());
  if (later_)
    for (auto& entry : prefixed("energy.later.", later_->state())) state.push_back(std::move(entry));
  return state;
}

void EnergyLearner::restore_optimizer(const NamedTensors& state) {
  optimizer_.restore(without_prefix("energy.", state));
  if (later_) later_->restore(without_prefix("energy.later.", state));
}

GeneratorLearner::GeneratorLearner(const GeneratorConfig& generator, const LearningConfig& learning,
                                   BatchNormUse batch_norm, const TrainingConfig& training, const at::Device& device,
                                   const Reduction& reduction, const ImageShape& image)
    : config_(learning), generator_(generator), lanes_(training.lanes), training_use_(batch_norm),
      evaluation_use_(batch_norm == BatchNormUse::lane ? BatchNormUse::running : BatchNormUse::off), device_(device),
      network_(generator_on(generator, training.seed, device)),
      average_(config_.average > 0 ? generator_on(generator, training.seed, device) : nullptr),
      optimizer_(*network_, config_.optimizer), schedule_(parse_schedule(config_.learning_rate, config_.drops)),
      reduction_(named_weights(*network_), extras()) {
  if (average_) hold_constant(*average_);
  if (!(network_->output() == image))
    throw Error(ExitCode::usage,
                fmt::format("generator {} makes {}x{} images, the energy takes {}x{}", generator_.network,
                            network_->output().height, network_->output().width, image.height, image.width),
                "choose --generator.network and --energy.network of one size");
  reduction_.connect(reduction.make(reduction_.elements(), "generator gradients"), reduction.owned_lanes());
}

std::size_t GeneratorLearner::extras() const {
  std::size_t count = 1;  // the loss
  if (training_use_ == BatchNormUse::lane)
    for (const auto& layer : network_->batch_norms()) count += 2 * static_cast<std::size_t>(layer->weight.numel());
  return count;
}

at::Tensor GeneratorLearner::images(const at::Tensor& latents) {
  const torch::NoGradGuard constant;
  return network_->generate(latents.to(device_), training_use_);
}

at::Tensor GeneratorLearner::images_for_evaluation(const at::Tensor& latents) {
  const torch::NoGradGuard constant;
  return (average_ ? *average_ : *network_).generate(latents.to(device_), evaluation_use_);
}

at::Tensor GeneratorLearner::infer(const at::Tensor& latents, const at::Tensor& images, const InferenceConfig& config,
                                   NoiseKey key, const std::vector<std::uint64_t>& identities) {
  return infer_latents(*network_, latents, images, config, training_use_, key, identities);
}

at::Tensor GeneratorLearner::differentiable(const at::Tensor& latents, bool for_evaluation) {
  auto& network = for_evaluation && average_ ? *average_ : *network_;
  const ConstantWeights held(network);
  return network.generate(latents.to(device_), for_evaluation ? evaluation_use_ : training_use_);
}

void GeneratorLearner::add_lane(const at::Tensor& latents, const at::Tensor& images, double weight) {
  const torch::AutoGradMode learning(true);
  reduction_.add_lane([&] {
    std::vector<float> extras{generator_lane_gradients(*network_, latents, images, training_use_, weight)};
    if (training_use_ != BatchNormUse::lane) return extras;
    for (const auto& layer : network_->batch_norms())
      for (const auto& statistic : {layer->lane_mean, layer->lane_variance}) {
        const auto values = statistic.to(torch::kCPU).contiguous();
        extras.insert(extras.end(), values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
      }
    return extras;
  });
}

double GeneratorLearner::take() {
  sums_ = reduction_.take(lanes_, "generator gradients");
  return sums_[0] / static_cast<double>(lanes_);
}

void GeneratorLearner::apply(std::int64_t step) {
  clip_gradients(named_weights(*network_), config_.max_norm);
  optimizer_.step(learning_rate(step));
  if (training_use_ == BatchNormUse::lane) {
    // Design invariant 1: running statistics are the lanes' averaged in tree order, once a step.
    auto at = sums_.data() + 1;
    const auto take = [&](std::int64_t channels) {
      const auto mean = torch::from_blob(at, {channels}).div(static_cast<double>(lanes_)).to(device_);
      at += channels;
      return mean;
    };
    for (const auto& layer : network_->batch_norms()) {
      const auto mean = take(layer->weight.numel()), variance = take(layer->weight.numel());
      layer->move_running(mean, variance);
    }
  }
  if (average_) move_average(*network_, *average_, config_.average);
}

void GeneratorLearner::copy_to(std::vector<WeightsPart>& parts) const {
  auto facts = facts_of(generator_);
  facts["batch_norm"] = evaluation_use_ == BatchNormUse::running ? "running" : "off";
  parts.push_back(copied_part("generator", named_state(*network_), facts));
  if (average_) parts.push_back(copied_part("generator_average", named_state(*average_), facts));
}

void GeneratorLearner::load(const WeightsFile& file) {
  read_part(file, "generator", named_state(*network_));
  if (average_) read_part(file, "generator_average", named_state(*average_));
}

NamedTensors GeneratorLearner::optimizer_state() const { return prefixed("generator.", optimizer_.state()); }

void GeneratorLearner::restore_optimizer(const NamedTensors& state) {
  optimizer_.restore(without_prefix("generator.", state));
}

}  // namespace langrun
