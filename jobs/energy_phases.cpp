#include "jobs/energy_phases.h"

#include <fmt/format.h>

#include "core/device_transfer.h"
#include "core/torch.h"
#include "core/updates.h"
#include "jobs/device.h"
#include "jobs/module_weights.h"
#include "jobs/points_panel.h"
#include "jobs/weights_source.h"

namespace langrun {
namespace {

/// Scalars that ride at the front of the energy's reduction, summed over lanes; the job's own follow.
enum EnergyScalar { kDataEnergy, kChainEnergy, kLoss, kMagnitude, kEnergyScalars };

/// Langevin steps between two pulses of who draws pictures.
constexpr std::int64_t kPictureSteps = 10;

}  // namespace

EnergyPhases::EnergyPhases(const EnergyTrainingConfig& config, Communicator& world, std::size_t scalars,
                           std::unique_ptr<FrozenPrior> prior)
    : config_(config), world_(world), lanes_(lanes_of(config.training.lanes, world.rank(), world.size())),
      lane_batch_(langrun::lane_batch(config.training.batch, config.training.lanes)),
      device_(prepare_device(config.training, world)), reduction_(config.training, device_, world, lanes_),
      keys_(static_cast<std::uint64_t>(config.training.seed)),
      energy_(config.energy, config.energy_learning, config.training, device_, reduction_, kEnergyScalars + scalars),
      data_(config.training, lanes_, energy_.image()), prior_(std::move(prior)) {
  if (prior_) prior_->open(energy_.image());
  add_terms();
  // A checkpoint has weights of its own.
  if (config_.energy_start.empty() || config_.training.from_checkpoint) return;
  const auto start = find_weights(world, config_.energy_start, "energy that training begins from", false,
                                  config_.passed_over);
  energy_.begin_from(WeightsFile(start));
}

// On a resume the prior comes with the checkpoint, and its terms with it.
void EnergyPhases::add_terms() {
  const auto& training = config_.training;
  SamplingTerms terms;
  if (prior_ && prior_->ready()) terms = prior_->terms(training.precision, device_);
  terms.tau = config_.terms.tau;
  if (terms.any()) energy_.sampler().add_terms(std::move(terms), config_.langevin.temperature);
}

void EnergyPhases::begin_attempt(std::int64_t attempt) {
  keys_ = RunKeys(static_cast<std::uint64_t>(config_.training.seed), static_cast<std::uint32_t>(attempt));
  energy_.scale_rates(attempt_rate(config_.training, attempt));
  data_.restart();
}

void EnergyPhases::copy_to(std::vector<WeightsPart>& parts) const {
  const auto first = parts.size();
  energy_.copy_to(parts);
  for (auto part = first; part < parts.size(); ++part) {
    parts[part].facts["temperature"] = fmt::format("{}", config_.langevin.temperature);
    if (config_.terms.tau > 0) parts[part].facts["tau"] = fmt::format("{}", config_.terms.tau);
  }
  if (prior_) prior_->copy_to(parts);
}

void EnergyPhases::load(const WeightsFile& file) {
  energy_.load(file);
  if (!prior_) return;
  prior_->restore(file, energy_.image());
  add_terms();
}

std::vector<WeightsPart> EnergyPhases::parts(const ChainSource& source) const {
  std::vector<WeightsPart> parts;
  if (world_.rank() != 0) return parts;
  copy_to(parts);
  source.copy_to(parts);
  parts.push_back(copied_part("optimizer", energy_.optimizer_state(), {}));
  return parts;
}

void EnergyPhases::restore(const WeightsFile& file, ChainSource& source) {
  load(file);
  auto state = energy_.optimizer_state();
  for (auto& [name, tensor] : state) tensor = torch::empty_like(tensor);
  read_part(file, "optimizer", state);
  energy_.restore_optimizer(state);
  source.restore(file);
}

LaneWork EnergyPhases::begin_lane(std::int64_t lane, std::int64_t step) {
  const torch::NoGradGuard constant;
  // Once a step, while no chain runs: on a GPU those of earlier lanes read what would be overwritten.
  if (lane == lanes_.first) energy_.refresh_frozen();
  step_ = step;
  world_.enter(fmt::format("step {}, drawing lane {}", step, lane));
  LaneWork work;
  work.lane = lane;
  work.data = to_device(data_.noisy_batch(lane, step, keys_.data_noise, config_.data_noise), device_);
  return work;
}

void EnergyPhases::sample(LaneWork& work, std::int64_t step) {
  world_.enter(fmt::format("step {}, sampling lane {}", step, work.lane));
  work.chains = to_device(work.chains, device_);
  work.host_latents = work.latents;
  work.latents = to_device(work.latents, device_);
  // Noise belongs to the chain (design invariant 2): slot and step name it, whatever rank or place it has.
  ChainNoise noise{keys_.langevin, {}, 0};
  for (const auto slot : work.slots) noise.identities.push_back(chain_identity(slot, static_cast<std::uint64_t>(step)));
  work.sampled = energy_.sampler().start(work.chains, config_.langevin, noise);
}

void EnergyPhases::finish(std::vector<LaneWork>& work) {
  energy_.sampler().finish();
  for (auto& lane : work) lane.chains = lane.sampled.chains;
}

void EnergyPhases::add_lanes(const std::vector<LaneWork>& work, const LaneScalars& scalars) {
  world_.enter(fmt::format("step {}, gradients", step_));
  for (const auto& lane : work)
    energy_.add_lane([&] {
      const auto result =
          energy_lane_gradients(energy_.network(), lane.data, lane.chains, config_.langevin.temperature, config_.loss);
      std::vector<float> extras(kEnergyScalars);
      extras[kDataEnergy] = result.data_energy;
      extras[kChainEnergy] = result.chain_energy;
      // Of likelihood it is the difference over T, which single precision need not hold.
      extras[kLoss] = config_.loss == EnergyLoss::likelihood ? 0 : result.loss;
      extras[kMagnitude] =
          lane.sampled.record.gradient_magnitude.defined() ? lane.sampled.record.gradient_magnitude.mean().item<float>() : 0.0f;
      for (const float value : scalars(lane)) extras.push_back(value);
      return extras;
    });
}

void EnergyPhases::wait() {
  world_.enter(fmt::format("step {}, exchange", step_));
  energy_.wait();
}

std::vector<double> EnergyPhases::update(std::int64_t step, StepRecord& record) {
  world_.enter(fmt::format("step {}, updates", step));
  const auto sums = energy_.take();
  const auto clipped = energy_.apply(step);
  const auto lanes = static_cast<double>(lanes_.count);
  const double data = sums[kDataEnergy] / lanes, chains = sums[kChainEnergy] / lanes;
  // A discriminator's energies are to come apart: their difference is neither its loss nor anything to watch.
  if (config_.loss == EnergyLoss::likelihood)
    record.energy_difference = (data - chains) / config_.langevin.temperature;
  else
    record.loss = sums[kLoss] / lanes;
  record.gradient_magnitude = sums[kMagnitude] / lanes;
  record.learning_rate = energy_.learning_rate(step);
  record.more = {{"energy_data", data}, {"energy_chains", chains}, {"clipped_tensors", static_cast<double>(clipped)}};
  return {sums.begin() + kEnergyScalars, sums.end()};
}

void EnergyPhases::account(StepRecord& record, double sample, double update, double exchange) {
  record.image_steps_per_second = static_cast<double>(config_.training.batch * config_.langevin.steps);
  record.seconds_sample.avg = sample;
  record.seconds_update.avg = update - exchange;
  record.seconds_exchange.avg = exchange;
  record.more.emplace_back("seconds_data", data_.take_seconds_waited());
}

std::vector<Fact> EnergyPhases::facts(std::int64_t other_weights) const {
  const auto image = energy_.image();
  const auto weights = weight_count(energy_.network());
  const double ranks = world_.size(),
               exchanged = 4.0 * static_cast<double>(weights + other_weights) * 2 * (ranks - 1) / ranks;
  std::vector<Fact> facts{
      {"image", fmt::format("{} x {} x {}", image.channels, image.height, image.width)},
      {"energy weights", with_thousands(weights)},
      {"gradient weight eta^2/(2T)", fmt::format("{:.6g}", config_.langevin.gradient_weight())},
      {"training images", with_thousands(static_cast<std::int64_t>(data_.count()))},
      {"steps an epoch",
       fmt::format("{:.1f}", static_cast<double>(data_.count()) / static_cast<double>(config_.training.batch))},
      {"ranks x threads", fmt::format("{} x {}", world_.size(), config_.training.threads)},
      {"lanes a rank", fmt::format("{} of {} samples", lanes_.owned, lane_batch_)},
      {"device", device_.str()},
      {"products of sampling", products_of_sampling(config_.training.precision, device_)},
      {"exchanged a rank and step", bytes_text(static_cast<std::uint64_t>(exchanged))},
  };
  if (prior_) facts.push_back({"prior energy", prior_->description()});
  if (config_.terms.tau > 0)
    facts.push_back({"Gaussian term", fmt::format("||x||^2 / (2 tau^2), tau {:.6g}", config_.terms.tau)});
  return facts;
}

LangevinConfig EnergyPhases::evaluation() const {
  auto config = config_.langevin;
  if (config_.evaluation_steps > 0) config.steps = config_.evaluation_steps;
  config.temperature *= config_.terms.joint_temperature;
  return config;
}

at::Tensor EnergyPhases::evaluate(const at::Tensor& starts, const std::vector<std::uint64_t>& places,
                                  const Pulse& pulse) {
  ChainNoise noise{keys_.sample, {}, 0};
  for (const auto place : places) noise.identities.push_back(chain_identity(place, 1));
  auto chains = to_device(starts, device_);
  auto piece = evaluation();
  for (const auto steps = piece.steps; noise.first_step < steps;
       noise.first_step += static_cast<std::uint32_t>(kPictureSteps)) {
    piece.steps = std::min<std::int64_t>(steps - noise.first_step, kPictureSteps);
    chains = energy_.sampler().run(chains, piece, noise);
    pulse();
  }
  return chains;
}

// In lane-shaped calls, so that a picture does not depend on how many images it has.
std::vector<Panel> EnergyPhases::sample_panels(const MakeStarts& make_starts, const Pulse& pulse) {
  const torch::NoGradGuard constant;
  energy_.refresh_frozen(energy_.has_average());
  std::vector<at::Tensor> starts, samples;
  for (std::int64_t first = 0; first < panel_images(); first += lane_batch_) {
    std::vector<std::uint64_t> places;
    for (std::int64_t i = 0; i < lane_batch_; ++i) places.push_back(static_cast<std::uint64_t>(first + i));
    starts.push_back(make_starts(places));
    samples.push_back(evaluate(starts.back(), places, pulse));
  }
  const char* weights = energy_.has_average() ? "average weights" : "raw weights";
  return {panel_of(fmt::format("samples, {}, K {}", weights, evaluation().steps), torch::cat(samples), panel_images()),
          panel_of("their starts", torch::cat(starts), panel_images())};
}

std::vector<Panel> EnergyPhases::sample_panels(ChainSource& source, const Pulse& pulse) {
  return sample_panels(
      [&](const std::vector<std::uint64_t>& places) { return source.fresh(places, 0, keys_.sample).images; }, pulse);
}

std::int64_t EnergyPhases::panel_images() const { return pictured_images(energy_.image()); }

Panel panel_of(const std::string& title, const at::Tensor& images, std::int64_t most) {
  const auto count = std::min(most, images.size(0));
  const auto pixels = images.narrow(0, 0, count).to(torch::kCPU).permute({0, 2, 3, 1}).contiguous();
  const std::span values(pixels.const_data_ptr<float>(), static_cast<std::size_t>(pixels.numel()));
  if (are_points({images.size(1), images.size(2), images.size(3)})) return points_panel(title, values);
  return {title, count, images.size(1), images.size(2), images.size(3), {values.begin(), values.end()}};
}

}  // namespace langrun
