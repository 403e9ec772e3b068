#include "jobs/classify.h"

#include <fmt/format.h>

#include <optional>

#include "core/adversarial.h"
#include "core/augment.h"
#include "core/device_transfer.h"
#include "core/error.h"
#include "core/torch.h"
#include "jobs/classifier_learner.h"
#include "jobs/device.h"
#include "jobs/energy_phases.h"
#include "jobs/run_keys.h"
#include "jobs/snapshot.h"
#include "jobs/training_data.h"
#include "jobs/validation.h"

namespace langrun {
namespace {

constexpr std::int64_t kPictured = 64;

/// The size that every built-in classifier takes.
constexpr ImageShape kImage{3, 32, 32};

struct LaneImages {
  at::Tensor images, labels;
};

class Classify final : public TrainingJob {
 public:
  Classify(const ClassifyConfig& config, Communicator& world)
      : config_(config), world_(world), lanes_(lanes_of(config.training.lanes, world.rank(), world.size())),
        lane_batch_(langrun::lane_batch(config.training.batch, config.training.lanes)),
        device_(prepare_device(config.training, world)), reduction_(config.training, device_, world, lanes_),
        keys_(static_cast<std::uint64_t>(config.training.seed)),
        data_(config.training, lanes_, kImage, config.augment.flip),
        learner_(classifier_of(config, data_), config.learning, config.training, device_, reduction_) {
    if (!config.validation.data.empty()) validation_.emplace(config.validation.data, kImage, data_.classes());
  }

  void begin_attempt(std::int64_t attempt) override {
    keys_ = RunKeys(static_cast<std::uint64_t>(config_.training.seed), static_cast<std::uint32_t>(attempt));
    learner_.scale_rates(attempt_rate(config_.training, attempt));
    data_.restart();
  }
  void start() override {}
  std::vector<Fact> facts() const override;
  StepRecord step(std::int64_t step) override;
  std::unique_ptr<Snapshot> snapshot() override {
    return std::make_unique<StateSnapshot>(world_.rank() == 0 ? learner_.parts() : std::vector<WeightsPart>{},
                                           std::vector<BankLane>{}, lanes_.first, lanes_.count);
  }
  void load(const std::filesystem::path& folder) override { learner_.restore(WeightsFile(folder / "weights.h5")); }
  std::vector<Panel> pictures(const Pulse& pulse) override;

 private:
  static ClassifierConfig classifier_of(const ClassifyConfig& config, const TrainingData& data) {
    auto classifier = config.classifier;
    classifier.classes = static_cast<std::int64_t>(data.classes().size());
    return classifier;
  }

  // ---- 1 draw: one lane's images, mirrored by the loader and shifted ----
  LaneImages draw(std::int64_t lane, std::int64_t step) {
    const torch::NoGradGuard constant;
    const auto images = shifted(data_.noisy_batch(lane, step, {}, 0), config_.augment.crop, keys_.augment,
                                position(lane, step));
    return {to_device(images, device_), to_device(data_.labels(lane), device_)};
  }
  // Of the lane's first image in the data stream.
  std::uint64_t position(std::int64_t lane, std::int64_t step) const {
    return static_cast<std::uint64_t>((step - 1) * config_.training.batch + lane * lane_batch_);
  }
  void account(StepRecord& record, double sample, double update);
  void validate(std::int64_t step, StepRecord& record);

  const ClassifyConfig config_;
  Communicator& world_;
  Lanes lanes_;
  std::int64_t lane_batch_;
  at::Device device_;
  Reduction reduction_;
  RunKeys keys_;
  TrainingData data_;
  ClassifierLearner learner_;
  std::optional<Validation> validation_;
};

StepRecord Classify::step(std::int64_t step) {
  double sample = 0, update = 0;
  for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane) {
    const PhaseTimer timer(sample);
    auto work = draw(lane, step);
    // ---- 2 attack, where it is trained on attacks ----
    work.images = adversarial(learner_.network(), work.images, work.labels, config_.adversarial, keys_.adversarial,
                              position(lane, step));
    // ---- 3 update: gradients, lane by lane ----
    learner_.add_lane(work.images, work.labels);
  }
  StepRecord record;
  {
    const PhaseTimer timer(update);
    learner_.wait();
    const auto result = learner_.take();
    record.learning_rate = learner_.learning_rate(step);
    const auto clipped = learner_.apply(step);
    record.loss = result.loss;
    record.accuracy = result.correct / static_cast<double>(config_.training.batch);
    record.more.emplace_back("clipped_tensors", static_cast<double>(clipped));
  }
  validate(step, record);
  account(record, sample, update);
  return record;
}

void Classify::validate(std::int64_t step, StepRecord& record) {
  if (!validation_ || (step % config_.validation.every != 0 && step != config_.training.steps)) return;
  auto& judged = learner_.begin_judging();
  record.more.emplace_back("validation_accuracy", validation_->accuracy(judged, device_, world_));
  learner_.end_judging();
}

void Classify::account(StepRecord& record, double sample, double update) {
  const double exchange = learner_.take_seconds();
  record.image_steps_per_second = static_cast<double>(config_.training.batch * (1 + config_.adversarial.steps));
  record.seconds_sample.avg = sample;
  record.seconds_update.avg = update - exchange;
  record.seconds_exchange.avg = exchange;
  record.more.emplace_back("seconds_data", data_.take_seconds_waited());
}

std::vector<Fact> Classify::facts() const {
  const double ranks = world_.size();
  const double exchanged = 4.0 * static_cast<double>(learner_.weights()) * 2 * (ranks - 1) / ranks;
  std::vector<Fact> facts{
      {"image", fmt::format("{} x {} x {}", kImage.channels, kImage.height, kImage.width)},
      {"classes", fmt::format("{}", data_.classes().size())},
      {"classifier weights", with_thousands(learner_.weights())},
      {"training images", with_thousands(static_cast<std::int64_t>(data_.count()))},
      {"steps an epoch",
       fmt::format("{:.1f}", static_cast<double>(data_.count()) / static_cast<double>(config_.training.batch))},
      {"ranks x threads", fmt::format("{} x {}", world_.size(), config_.training.threads)},
      {"lanes a rank", fmt::format("{} of {} samples", lanes_.owned, lane_batch_)},
      {"device", device_.str()},
      {"exchanged a rank and step", bytes_text(static_cast<std::uint64_t>(exchanged))},
  };
  if (validation_)
    facts.push_back({"validation images", with_thousands(static_cast<std::int64_t>(validation_->count()))});
  if (config_.adversarial.steps > 0)
    facts.push_back({"trained on attacks", fmt::format("l_inf {:.6g}/255, {} steps of {:.6g}/255",
                                                       config_.adversarial.eps, config_.adversarial.steps,
                                                       config_.adversarial.alpha)});
  return facts;
}

std::vector<Panel> Classify::pictures(const Pulse& pulse) {
  const auto images = data_.first_images(kPictured);
  std::vector<Panel> panels{panel_of("data", images, kPictured)};
  pulse();
  auto seen = shifted(images, config_.augment.crop, keys_.augment, 0);
  if (config_.augment.crop > 0) panels.push_back(panel_of("data, shifted", seen, kPictured));
  if (config_.adversarial.steps == 0) return panels;
  const auto labels = to_device(data_.first_labels(kPictured), device_);
  seen = adversarial(learner_.network(), to_device(seen, device_), labels, config_.adversarial, keys_.adversarial, 0);
  panels.push_back(panel_of("attacked, as it is trained on", seen, kPictured));
  return panels;
}

void check(const ClassifyConfig& config) {
  if (config.training.precision != "fp32")
    throw Error(ExitCode::usage,
                fmt::format("--precision {}: a classifier is trained in fp32", config.training.precision),
                "leave it out; `defend --classifier.precision bf16` evaluates in bf16");
  if (config.learning.optimizer.nesterov &&
      (config.learning.optimizer.kind != "sgd" || config.learning.optimizer.momentum <= 0))
    throw Error(ExitCode::usage, "--classifier.nesterov goes with --classifier.optimizer sgd and a momentum above 0");
  if (config.adversarial.steps > 0 && (config.adversarial.eps <= 0 || config.adversarial.alpha <= 0))
    throw Error(ExitCode::usage, fmt::format("--adversarial.eps {} and --adversarial.alpha {}: attacks need both above 0",
                                             config.adversarial.eps, config.adversarial.alpha),
                "leave --adversarial.steps out to train on images as they are");
}

}  // namespace

std::unique_ptr<TrainingJob> make_classify(const ClassifyConfig& config, Communicator& world) {
  check(config);
  return std::make_unique<Classify>(config, world);
}

}  // namespace langrun
