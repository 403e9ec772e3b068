// One training step stands in `Hat::step`, phase by phase.
#include "jobs/hat.h"

#include <fmt/format.h>

#include <bit>
#include <optional>

#include "core/device_transfer.h"
#include "core/torch.h"
#include "jobs/bank_health.h"
#include "jobs/bank_share.h"
#include "jobs/energy_phases.h"
#include "jobs/frozen_generator.h"
#include "jobs/hat_chains.h"
#include "jobs/latent_gradient.h"
#include "jobs/module_weights.h"
#include "jobs/snapshot.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

/// Scalars of a lane beside those of a bank's health.
enum HatScalar { kResidualSize, kLatentMagnitude, kHatScalars };

/// Langevin steps between two pulses of who draws pictures.
constexpr std::int64_t kPictureSteps = 10;
/// Residuals are small: how much larger pictures show them.
constexpr double kResidualGain = 4;

EnergyTrainingConfig with_loss(const HatConfig& config) {
  EnergyTrainingConfig training = config;
  if (hat_mode(config.mode) == HatMode::ddls) training.loss = EnergyLoss::logistic;
  return training;
}

/// What a lane has beside its LaneWork.
struct HatLane {
  at::Tensor generated;         ///< [b, C, H, W] G(Z), at the latents that chains ended with
  at::Tensor latent_magnitude;  ///< [b]; undefined where latents stay
  FreshChains past;             ///< historical pairs, drawn from the bank: what the generator learns from
};

/// What the bank begins with: images of the generator as it stands, at latents of p0.
class FirstPairs final : public ChainSource {
 public:
  /// Both must outlive it.
  FirstPairs(GeneratorLearner& generator, const HatChainConfig& chains) : generator_(generator), chains_(chains) {}
  std::int64_t latent_length() const override { return generator_.latent_length(); }
  std::string description() const override { return "the generator"; }
  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) override {
    const auto latents = hat_latents(chains_, slots, step, key, latent_length());
    return {generator_.images(latents), latents};
  }

 private:
  GeneratorLearner& generator_;
  const HatChainConfig& chains_;
};

class Hat final : public TrainingJob {
 public:
  Hat(const HatConfig& config, std::unique_ptr<FrozenSource> frozen, Communicator& world)
      : config_(config), mode_(hat_mode(config.mode)), training_(with_loss(config)), chains_(training_chains(config)),
        evaluation_(evaluation_chains(config)), phases_(training_, world, BankHealth::kScalars + kHatScalars),
        frozen_(std::move(frozen)) {
    const auto image = phases_.energy().image();
    if (frozen_) {
      frozen_->open(image, phases_.lane_batch(), phases_.device());
      // A run that goes on has seen it, and a built-in one comes with its checkpoint, later.
      if (chains_.pair.moves_latent && !config.training.from_checkpoint)
        check_latent_gradient(frozen_->generator(), phases_.lane_batch());
      return;
    }
    generator_.emplace(config.generator, config.generator_learning, BatchNormUse::off, config.training,
                       phases_.device(), phases_.reduction(), image);
    source_ = std::make_unique<FirstPairs>(*generator_, chains_);
    if (config.pairs == "historical")
      bank_.emplace(phases_.lanes(), config.bank_size, phases_.lane_batch(), image, generator_->latent_length());
  }

  std::vector<Fact> facts() const override;

  void start() override {
    if (bank_) bank_->fill(*source_, phases_.keys().bank_fill);
  }

  StepRecord step(std::int64_t step) override {
    double sample = 0, update = 0;
    const auto& lanes = phases_.lanes();
    std::vector<LaneWork> work;
    std::vector<HatLane> hats;
    // ---- 1 draw: fresh latents, images of them, past pairs and data, lane by lane ----
    // ---- 2 sample: K Langevin steps of residuals, latents or both ----
    for (std::int64_t lane = lanes.first; lane < lanes.first + lanes.owned; ++lane) {
      {
        const PhaseTimer timer(update);
        hats.emplace_back();
        work.push_back(draw(lane, step, hats.back()));
      }
      const PhaseTimer timer(sample);
      this->sample(work.back(), hats.back(), step);
    }
    {
      const PhaseTimer timer(sample);
      phases_.finish(work);
    }
    StepRecord record;
    {
      if (bank_) record.seconds_checkpoint.avg = bank_->keep_for_checkpoint(work);
      const PhaseTimer timer(update);
      // ---- 3 energy update on the chains; 4 generator update on past or present pairs, while sums travel ----
      phases_.add_lanes(work, [&](const LaneWork& lane) { return scalars(lane, hats[at(lane)]); });
      if (generator_)
        for (const auto& lane : work) add_generator_lane(lane, hats[at(lane)]);
      // Both are through before either is judged: an error must not leave while messages are on their way.
      phases_.wait();
      if (generator_) generator_->wait();
      update_energy(step, record);
      if (generator_) update_generator(step, record);
      // ---- 5 the new pairs take the places of the past ones ----
      if (bank_)
        for (const auto& lane : work) bank_->put_back(lane);
    }
    // ---- 6 record ----
    phases_.account(record, sample, update,
                    phases_.energy().take_seconds() + (generator_ ? generator_->take_seconds() : 0));
    if (mode_ == HatMode::ddls) {  // chains of training are the generator's images: no steps are made
      record.gradient_magnitude.reset();
      record.image_steps_per_second = static_cast<double>(config_.training.batch);
    }
    return record;
  }

  void begin_attempt(std::int64_t attempt) override {
    phases_.begin_attempt(attempt);
    if (generator_) generator_->scale_rates(attempt_rate(config_.training, attempt));
  }

  std::unique_ptr<Snapshot> snapshot() override {
    std::vector<WeightsPart> weights;
    if (phases_.world().rank() == 0) {
      phases_.copy_to(weights);
      if (generator_) generator_->copy_to(weights);
      if (frozen_) frozen_->copy_to(weights);
      weights.push_back(copied_part("optimizer", optimizer_state(), {}));
    }
    static const std::vector<BankLane> kNoBank;
    auto snapshot = std::make_unique<StateSnapshot>(std::move(weights), bank_ ? bank_->lanes() : kNoBank,
                                                    phases_.lanes().first, phases_.lanes().count);
    if (bank_) bank_->freeze(snapshot->bank());
    return snapshot;
  }

  void load(const fs::path& folder) override {
    const WeightsFile file(folder / "weights.h5");
    phases_.load(file);
    if (generator_) generator_->load(file);
    if (frozen_) frozen_->restore(file);
    auto state = optimizer_state();
    for (auto& [name, tensor] : state) tensor = torch::empty_like(tensor);
    read_part(file, "optimizer", state);
    phases_.energy().restore_optimizer(state);
    if (generator_) generator_->restore_optimizer(state);
    if (bank_) bank_->load(folder);
  }

  std::vector<Panel> pictures(const Pulse& pulse) override;

 private:
  std::size_t at(const LaneWork& lane) const { return static_cast<std::size_t>(lane.lane - phases_.lanes().first); }
  std::int64_t latent_length() const {
    return generator_ ? generator_->latent_length() : frozen_->generator().latent_length();
  }

  /// G as chains go through it.
  ImageFunction images(bool for_evaluation) {
    if (frozen_) return [this](const at::Tensor& latents) { return frozen_->generator().make(latents); };
    return [this, for_evaluation](const at::Tensor& latents) {
      return generator_->differentiable(latents, for_evaluation);
    };
  }

  NamedTensors optimizer_state() const {
    auto state = phases_.energy().optimizer_state();
    if (generator_)
      for (auto& entry : generator_->optimizer_state()) state.push_back(std::move(entry));
    return state;
  }

  // Every chain begins anew. The bank's rows say whose places the new pairs will take, and their slots whose noise.
  LaneWork draw(std::int64_t lane, std::int64_t step, HatLane& hat) {
    const torch::NoGradGuard constant;
    auto work = phases_.begin_lane(lane, step);
    const auto& keys = phases_.keys();
    if (bank_) {
      bank_->draw(work, step, keys, {0, 0}, *source_);
      hat.past = {work.chains, work.latents};
    } else {
      for (std::int64_t i = 0; i < phases_.lane_batch(); ++i)
        work.slots.push_back(static_cast<std::uint64_t>(phases_.lanes().slot(lane, i)));
    }
    work.rejuvenated.assign(static_cast<std::size_t>(phases_.lane_batch()), 1);
    work.latents = hat_latents(chains_, work.slots, step, keys.rejuvenation, latent_length());
    hat.generated = images(false)(work.latents);
    work.chains = hat.generated;
    return work;
  }

  void sample(LaneWork& work, HatLane& hat, std::int64_t step) {
    if (chains_.plain()) {
      phases_.sample(work, step);
      return;
    }
    PairNoise noise{phases_.keys().latent_chain, phases_.keys().langevin, {}, 0};
    for (const auto slot : work.slots)
      noise.identities.push_back(chain_identity(slot, static_cast<std::uint64_t>(step)));
    Pairs pairs{work.latents, torch::zeros_like(hat.generated), hat.generated};
    PairRecord record;
    // A discriminator learns from the generator's images as they are.
    if (mode_ != HatMode::ddls)
      pairs = walk_pairs(phases_.energy().sampler(), images(false), pairs, chains_, chains_.pair.steps, noise, &record);
    hat.generated = pairs.generated;
    hat.latent_magnitude = record.latent_magnitude;
    // What the bank keeps is where the generator began, so that it learns to begin where chains ended.
    work.host_latents = work.latents;
    work.latents = to_device(work.latents, phases_.device());
    work.sampled.chains = pairs.images();
    work.sampled.host = work.sampled.chains.to(torch::kCPU);
    work.sampled.record.gradient_magnitude =
        chains_.pair.moves_residual ? record.residual_magnitude : record.latent_magnitude;
    work.sampled.record.first_energy = record.first_energy;
  }

  std::vector<float> scalars(const LaneWork& lane, const HatLane& hat) const {
    auto values = BankHealth::of_lane(lane, bank_ ? &*bank_ : nullptr);
    const torch::NoGradGuard constant;
    values.push_back(residual_size(lane.chains - hat.generated).mean().item<float>());
    values.push_back(hat.latent_magnitude.defined() ? hat.latent_magnitude.mean().item<float>() : 0.0f);
    return values;
  }

  // 1000 times the mean over pixels [HAT], where shortrun has their sum.
  void add_generator_lane(const LaneWork& lane, const HatLane& hat) {
    constexpr double kWeight = 1000;
    const double weight = kWeight / static_cast<double>(phases_.energy().image().elements());
    if (!bank_) return generator_->add_lane(lane.latents, lane.chains, weight);
    const auto& device = phases_.device();
    generator_->add_lane(to_device(hat.past.latents, device), to_device(hat.past.images, device), weight);
  }

  void update_energy(std::int64_t step, StepRecord& record) {
    const auto sums = phases_.update(step, record);
    const auto bank = std::span(sums).first(BankHealth::kScalars);
    BankHealth::record(bank, bank_ ? &*bank_ : nullptr, record);
    const auto own = std::span(sums).subspan(BankHealth::kScalars);
    const auto lanes = static_cast<double>(phases_.lanes().count);
    if (chains_.pair.moves_residual) record.more.emplace_back("residual_size", own[kResidualSize] / lanes);
    if (chains_.pair.moves_latent && mode_ != HatMode::ddls)
      record.more.emplace_back("latent_gradient_magnitude", own[kLatentMagnitude] / lanes);
  }

  void update_generator(std::int64_t step, StepRecord& record) {
    record.generator_loss = generator_->take();
    generator_->apply(step);
    record.more.emplace_back("generator_learning_rate", generator_->learning_rate(step));
  }

  Pairs evaluated(const std::vector<std::uint64_t>& places, const Pulse& pulse);
  std::vector<Fact> memory() const;

  const HatConfig config_;
  const HatMode mode_;
  const EnergyTrainingConfig training_;
  const HatChainConfig chains_, evaluation_;
  EnergyPhases phases_;
  std::unique_ptr<FrozenSource> frozen_;       // all modes but synthesis
  std::optional<GeneratorLearner> generator_;  // synthesis
  std::unique_ptr<ChainSource> source_;        // of the bank's first pairs
  std::optional<BankShare> bank_;              // of historical pairs
};

/// Float32 numbers for each weight of a network that learns: itself and its average; what the optimiser keeps, its
/// gradient, and the partial sums of a reduction over `owned` lanes.
struct PerWeight {
  explicit PerWeight(const LearningConfig& learning, std::int64_t owned) {
    kept = 1 + (learning.average > 0 ? 1 : 0);
    const auto& optimizer = learning.optimizer;
    const int moments = optimizer.kind == "adam" ? 2 : optimizer.momentum > 0 ? 1 : 0;
    learnt = moments + 1 + std::bit_width(static_cast<std::uint64_t>(owned));
  }
  std::int64_t kept, learnt;
};

// What a rank holds, by part: with the weights the copy that the sampler reads and those of a frozen generator, with the
// gradients their partial sums, with the images what the pairs of one lane take while they move. The activations of a
// network's call come on top of it.
std::vector<Fact> Hat::memory() const {
  const auto owned = phases_.lanes().owned;
  const auto energy = weight_count(phases_.energy().network()), generator = generator_ ? generator_->weights() : 0;
  const PerWeight of_energy(config_.energy_learning, owned), of_generator(config_.generator_learning, owned);
  const auto held = hat_images(config_);
  const auto images =
      (held.each_lane * owned + held.moving) * phases_.lane_batch() * phases_.energy().image().elements();
  const auto text = [](std::int64_t numbers, std::int64_t bytes = 0) {
    return bytes_text(static_cast<std::uint64_t>(4 * numbers + bytes));
  };
  const bool frozen = frozen_ && frozen_->ready();
  auto weights = text((of_energy.kept + 1) * energy + of_generator.kept * generator,
                      frozen ? frozen_->generator().bytes() : 0);
  if (frozen_ && !frozen) weights += ", and the generator's, from the checkpoint";
  std::vector<Fact> facts{
      {"weights and averages, a rank", weights},
      {"moments and gradients, a rank", text(of_energy.learnt * energy + of_generator.learnt * generator)},
      {"images of lanes, a rank", text(images)}};
  if (bank_)
    facts.push_back(
        {"bank of pairs, a rank", bytes_text(static_cast<std::uint64_t>(bank_->bytes() / phases_.world().size()))});
  return facts;
}

std::vector<Fact> Hat::facts() const {
  const auto generator_weights = generator_ ? generator_->weights() : 0;
  auto facts = phases_.facts(generator_weights);
  if (generator_) facts.insert(facts.begin() + 2, {"generator weights", with_thousands(generator_weights)});
  if (frozen_) facts.push_back({"generator", frozen_->description()});
  if (chains_.pair.residual_tau > 0)
    facts.push_back(
        {"prior of the residual", fmt::format("||Y||^2 / (2 tau^2), tau {:.6g}", chains_.pair.residual_tau)});
  if (chains_.pair.moves_latent)
    facts.push_back({"latents", fmt::format("move{}{}", chains_.sphere ? " on the sphere" : "",
                                            chains_.pair.latent_prior ? ", with their prior" : "")});
  if (bank_) facts.push_back({"bank of pairs, all ranks", bytes_text(static_cast<std::uint64_t>(bank_->bytes()))});
  for (auto& part : memory()) facts.push_back(std::move(part));
  return facts;
}

// In lane-shaped calls, so that a picture does not depend on how many images it has.
Pairs Hat::evaluated(const std::vector<std::uint64_t>& places, const Pulse& pulse) {
  const auto& keys = phases_.keys();
  const auto make = images(true);
  auto pairs = begin_pairs(evaluation_, hat_latents(evaluation_, places, 0, keys.sample, latent_length()), make, places,
                           keys.residual_start);
  PairNoise noise{keys.latent_chain, keys.sample, {}, 0};
  for (const auto place : places) noise.identities.push_back(chain_identity(place, 1));
  for (const auto steps = evaluation_.pair.steps; noise.first_step < steps;) {
    const auto piece = std::min<std::int64_t>(steps - noise.first_step, kPictureSteps);
    pairs = walk_pairs(phases_.energy().sampler(), make, pairs, evaluation_, piece, noise);
    noise.first_step += static_cast<std::uint32_t>(piece);
    pulse();
  }
  return pairs;
}

std::vector<Panel> Hat::pictures(const Pulse& pulse) {
  const torch::NoGradGuard constant;
  phases_.energy().refresh_frozen(phases_.energy().has_average());
  const auto count = phases_.panel_images();
  std::vector<at::Tensor> sums, generated, residuals;
  for (std::int64_t first = 0; first < count; first += phases_.lane_batch()) {
    std::vector<std::uint64_t> places;
    for (std::int64_t i = 0; i < phases_.lane_batch(); ++i) places.push_back(static_cast<std::uint64_t>(first + i));
    const auto pairs = evaluated(places, pulse);
    sums.push_back(pairs.images());
    generated.push_back(pairs.generated);
    residuals.push_back(pairs.residuals * kResidualGain);
  }
  std::vector<Panel> panels{panel_of("samples G(Z) + Y", torch::cat(sums), count),
                            panel_of("G(Z)", torch::cat(generated), count)};
  if (evaluation_.pair.moves_residual)
    panels.push_back(panel_of(fmt::format("residual Y, {} times", kResidualGain), torch::cat(residuals), count));
  if (bank_) panels.push_back(bank_panel("past pairs, lane 0", *bank_, count));
  panels.push_back(panel_of("data", phases_.data().first_images(count), count));
  return panels;
}

}  // namespace

std::unique_ptr<TrainingJob> make_hat(const HatConfig& config, Communicator& world) {
  check_hat(config);
  // Before anything that one rank alone could fail at: looking for it is a collective.
  auto frozen = frozen_source(config.source, config.training.from_checkpoint, world);
  return std::make_unique<Hat>(config, std::move(frozen), world);
}

}  // namespace langrun
