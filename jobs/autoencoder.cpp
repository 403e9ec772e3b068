#include "jobs/autoencoder.h"

#include <fmt/format.h>

#include "core/device_transfer.h"
#include "core/error.h"
#include "core/sphere.h"
#include "core/torch.h"
#include "jobs/autoencoder_learner.h"
#include "jobs/chain_starts.h"
#include "jobs/device.h"
#include "jobs/energy_phases.h"
#include "jobs/run_keys.h"
#include "jobs/snapshot.h"
#include "jobs/training_data.h"

namespace langrun {
namespace {

constexpr std::int64_t kPictured = 64;

class Autoencoder final : public TrainingJob {
 public:
  Autoencoder(const AutoencoderConfig& config, Communicator& world)
      : config_(config), world_(world), lanes_(lanes_of(config.training.lanes, world.rank(), world.size())),
        lane_batch_(langrun::lane_batch(config.training.batch, config.training.lanes)),
        device_(prepare_device(config.training, world)), reduction_(config.training, device_, world, lanes_),
        keys_(static_cast<std::uint64_t>(config.training.seed)), learner_(config_, device_, reduction_),
        data_(config.training, lanes_, learner_.image()) {}

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
  /// What is added to the latents of a lane: [b, nz], a function of (step, the images' places in the batch) alone.
  at::Tensor latent_noise(std::int64_t lane, std::int64_t step) const {
    std::vector<std::uint64_t> places;
    for (std::int64_t i = 0; i < lane_batch_; ++i) places.push_back(static_cast<std::uint64_t>(lanes_.slot(lane, i)));
    return to_device(fresh_latents(places, step, keys_.latent_chain, kLatentMap) * config_.latent_noise, device_);
  }

  /// What the network makes of pictured images or latents, a lane's at a time: pictures take no more memory than
  /// training.
  template <class Net>
  at::Tensor in_lanes(const at::Tensor& all, const Net& net) const {
    std::vector<at::Tensor> made;
    for (const auto& some : all.split(lane_batch_)) made.push_back(net(some));
    return torch::cat(made);
  }

  const AutoencoderConfig config_;
  Communicator& world_;
  const Lanes lanes_;
  const std::int64_t lane_batch_;
  const at::Device device_;
  const Reduction reduction_;
  RunKeys keys_;
  AutoencoderLearner learner_;
  TrainingData data_;
};

StepRecord Autoencoder::step(std::int64_t step) {
  double sample = 0, update = 0;
  for (std::int64_t lane = lanes_.first; lane < lanes_.first + lanes_.owned; ++lane) {
    const PhaseTimer timer(sample);
    learner_.add_lane(to_device(data_.noisy_batch(lane, step, {}, 0), device_), latent_noise(lane, step));
  }
  StepRecord record;
  {
    const PhaseTimer timer(update);
    learner_.wait();
    record.loss = learner_.take();
    record.learning_rate = learner_.learning_rate(step);
    record.more.emplace_back("clipped_tensors", static_cast<double>(learner_.apply(step)));
  }
  const double exchange = learner_.take_seconds();
  record.image_steps_per_second = static_cast<double>(config_.training.batch);
  record.seconds_sample.avg = sample;
  record.seconds_update.avg = update - exchange;
  record.seconds_exchange.avg = exchange;
  record.more.emplace_back("seconds_data", data_.take_seconds_waited());
  return record;
}

std::vector<Fact> Autoencoder::facts() const {
  const double ranks = world_.size();
  const double exchanged = 4.0 * static_cast<double>(learner_.weights()) * 2 * (ranks - 1) / ranks;
  const auto image = learner_.image();
  return {
      {"image", fmt::format("{} x {} x {}", image.channels, image.height, image.width)},
      {"latent", fmt::format("{} numbers, on the sphere of radius {}", kLatentMap, kLatentSide)},
      {"weights of both", with_thousands(learner_.weights())},
      {"training images", with_thousands(static_cast<std::int64_t>(data_.count()))},
      {"steps an epoch",
       fmt::format("{:.1f}", static_cast<double>(data_.count()) / static_cast<double>(config_.training.batch))},
      {"ranks x threads", fmt::format("{} x {}", world_.size(), config_.training.threads)},
      {"lanes a rank", fmt::format("{} of {} samples", lanes_.owned, lane_batch_)},
      {"device", device_.str()},
      {"exchanged a rank and step", bytes_text(static_cast<std::uint64_t>(exchanged))},
  };
}

std::vector<Panel> Autoencoder::pictures(const Pulse& pulse) {
  const auto images = data_.first_images(kPictured);
  std::vector<std::uint64_t> places;
  for (std::int64_t i = 0; i < kPictured; ++i) places.push_back(static_cast<std::uint64_t>(i));
  const auto decoded = in_lanes(images, [&](const at::Tensor& some) { return learner_.decode(learner_.encode(some)); });
  pulse();
  const auto random = in_lanes(on_sphere(fresh_latents(places, 0, keys_.sample, kLatentMap)),
                               [&](const at::Tensor& some) { return learner_.decode(some); });
  return {panel_of("decoded", decoded, kPictured), panel_of("data", images, kPictured),
          panel_of("of random latents", random, kPictured)};
}

void check(const AutoencoderConfig& config) {
  if (config.training.precision != "fp32")
    throw Error(ExitCode::usage,
                fmt::format("--precision {}: an autoencoder is trained in fp32", config.training.precision),
                "leave it out");
  if (config.decoder.network != "decoder32")
    throw Error(ExitCode::usage,
                fmt::format("--generator.network {}: an autoencoder's is decoder32", config.decoder.network),
                "leave it out");
}

}  // namespace

std::unique_ptr<TrainingJob> make_autoencoder(const AutoencoderConfig& config, Communicator& world) {
  check(config);
  return std::make_unique<Autoencoder>(config, world);
}

}  // namespace langrun
