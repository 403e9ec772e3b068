// One training step of shortrun learning stands in `Shortrun::step`, phase by phase; docs/one_step.md walks through it.
#include "jobs/shortrun.h"

#include <fmt/format.h>

#include <optional>

#include "core/bank.h"
#include "core/torch.h"
#include "jobs/bank_health.h"
#include "jobs/bank_share.h"
#include "jobs/chain_source.h"
#include "jobs/chain_start.h"
#include "jobs/chain_starts.h"
#include "jobs/energy_phases.h"
#include "jobs/learner.h"
#include "jobs/learning_source.h"
#include "jobs/module_weights.h"
#include "jobs/snapshot.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

BatchNormUse batch_norm_use(const std::string& name) { return name == "lane" ? BatchNormUse::lane : BatchNormUse::off; }

class Shortrun final : public TrainingJob {
 public:
  Shortrun(const ShortrunConfig& config, Communicator& world)
      : config_(config), start_(chain_start(config.init)), phases_(config_, world, BankHealth::kScalars) {
    const auto image = phases_.energy().image();
    if (uses_generator(start_)) {
      generator_.emplace(config.generator, config.generator_learning, batch_norm_use(config.batch_norm),
                         config.training, phases_.device(), phases_.reduction(), image);
      source_ = std::make_unique<LearningSource>(*generator_);
    } else if (start_ == ChainStart::data || start_ == ChainStart::data_persistent) {
      source_ = std::make_unique<DataSource>(phases_.data());
    } else {
      source_ = std::make_unique<UniformSource>(image);
    }
    if (uses_bank(start_))
      bank_.emplace(phases_.lanes(), config.bank_size, phases_.lane_batch(), image, source_->latent_length());
  }

  std::vector<Fact> facts() const override;

  void start() override {
    if (bank_) bank_->fill(*source_, phases_.keys().bank_fill);
  }

  StepRecord step(std::int64_t step) override {
    double sample = 0, update = 0;
    // ---- 1 draw: bank slots (some of them rejuvenated) and data, lane by lane ----
    // ---- 2 sample: K Langevin steps from the drawn images ----
    std::vector<LaneWork> work;
    const auto& lanes = phases_.lanes();
    for (std::int64_t lane = lanes.first; lane < lanes.first + lanes.owned; ++lane) {
      {
        const PhaseTimer timer(update);
        work.push_back(draw(lane, step));
      }
      const PhaseTimer timer(sample);
      phases_.sample(work.back(), step);
    }
    {
      const PhaseTimer timer(sample);
      phases_.finish(work);
    }
    StepRecord record;
    {
      if (bank_) record.seconds_checkpoint.avg = bank_->keep_for_checkpoint(work);
      const PhaseTimer timer(update);
      // ---- 3 energy update: lane gradients, summed in tree order; then clip, optimiser, average ----
      // ---- 4 generator update: likewise, on the same chains; its lanes run while the energy's sums travel ----
      const auto* bank = bank_ ? &*bank_ : nullptr;
      phases_.add_lanes(work, [bank](const LaneWork& lane) { return BankHealth::of_lane(lane, bank); });
      if (generator_)
        for (const auto& lane : work) generator_->add_lane(latents_of(lane, step), lane.chains);
      // Both are through before either is judged: an error must not leave while messages are on their way.
      phases_.wait();
      if (generator_) generator_->wait();
      update_energy(step, record);
      if (generator_) update_generator(step, record);
      // ---- 5 return chains and latents to their slots ----
      if (bank_)
        for (const auto& lane : work) bank_->put_back(lane);
    }
    // ---- 6 record ----
    phases_.account(record, sample, update,
                    phases_.energy().take_seconds() + (generator_ ? generator_->take_seconds() : 0));
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
    auto state = optimizer_state();
    for (auto& [name, tensor] : state) tensor = torch::empty_like(tensor);
    read_part(file, "optimizer", state);
    phases_.energy().restore_optimizer(state);
    if (generator_) generator_->restore_optimizer(state);
    if (bank_) bank_->load(folder);
  }

  std::vector<Panel> pictures(const Pulse& pulse) override;

 private:
  NamedTensors optimizer_state() const {
    auto state = phases_.energy().optimizer_state();
    if (generator_)
      for (auto& entry : generator_->optimizer_state()) state.push_back(std::move(entry));
    return state;
  }

  LaneWork draw(std::int64_t lane, std::int64_t step) {
    const torch::NoGradGuard constant;
    auto work = phases_.begin_lane(lane, step);
    const auto& keys = phases_.keys();
    if (bank_) {
      bank_->draw(work, step, keys, config_.rejuvenation, *source_);
      return work;
    }
    work.rejuvenated.assign(static_cast<std::size_t>(phases_.lane_batch()), 1);
    for (std::int64_t i = 0; i < phases_.lane_batch(); ++i)
      work.slots.push_back(static_cast<std::uint64_t>(phases_.lanes().slot(lane, i)));
    const auto made = source_->fresh(work.slots, step, keys.rejuvenation);
    work.chains = made.images;
    work.latents = made.latents;
    return work;
  }

  // Those that chains began from, or, in cooperative learning proper, those that explain where the chains have got to.
  at::Tensor latents_of(const LaneWork& work, std::int64_t step) {
    if (start_ != ChainStart::coop_inference) return work.latents;
    std::vector<std::uint64_t> identities;
    for (const auto slot : work.slots) identities.push_back(chain_identity(slot, static_cast<std::uint64_t>(step)));
    return generator_->infer(work.latents, work.chains, config_.inference, phases_.keys().inference, identities);
  }

  void update_energy(std::int64_t step, StepRecord& record) {
    const auto sums = phases_.update(step, record);
    BankHealth::record(sums, bank_ ? &*bank_ : nullptr, record);
  }

  void update_generator(std::int64_t step, StepRecord& record) {
    record.generator_loss = generator_->take();
    generator_->apply(step);
    record.more.emplace_back("generator_learning_rate", generator_->learning_rate(step));
  }

  at::Tensor starts_for_pictures(const std::vector<std::uint64_t>& places) {
    const auto& key = phases_.keys().sample;
    if (!generator_) return source_->fresh(places, 0, key).images;
    return generator_->images_for_evaluation(fresh_latents(places, 0, key, generator_->latent_length()));
  }

  const ShortrunConfig config_;
  const ChainStart start_;
  EnergyPhases phases_;
  std::optional<GeneratorLearner> generator_;
  std::unique_ptr<ChainSource> source_;
  std::optional<BankShare> bank_;
};

std::vector<Fact> Shortrun::facts() const {
  const auto generator_weights = generator_ ? generator_->weights() : 0;
  auto facts = phases_.facts(generator_weights);
  facts.insert(facts.begin() + 2, {"generator weights", with_thousands(generator_weights)});
  if (bank_) {
    facts.push_back({"bank, all ranks", bytes_text(static_cast<std::uint64_t>(bank_->bytes()))});
    facts.push_back({"bank, a rank", bytes_text(static_cast<std::uint64_t>(bank_->bytes() / phases_.world().size()))});
  }
  return facts;
}

std::vector<Panel> Shortrun::pictures(const Pulse& pulse) {
  const torch::NoGradGuard constant;
  const auto pictures = phases_.panel_images();
  auto panels = phases_.sample_panels(
      [this](const std::vector<std::uint64_t>& places) { return starts_for_pictures(places); }, pulse);
  if (!generator_)
    panels.pop_back();
  else
    panels.back().title = generator_->has_average() ? "generator, average weights" : "generator, raw weights";
  if (bank_) panels.push_back(bank_panel("bank, lane 0", *bank_, pictures));
  panels.push_back(panel_of("data", phases_.data().first_images(pictures), pictures));
  return panels;
}

}  // namespace

std::unique_ptr<TrainingJob> make_shortrun(const ShortrunConfig& config, Communicator& world) {
  return std::make_unique<Shortrun>(config, world);
}

}  // namespace langrun
