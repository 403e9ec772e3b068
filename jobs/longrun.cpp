#include "jobs/longrun.h"

#include <fmt/format.h>

#include <numeric>

#include "core/error.h"
#include "core/torch.h"
#include "jobs/bank_health.h"
#include "jobs/bank_share.h"
#include "jobs/energy_phases.h"
#include "jobs/frozen_generator.h"
#include "jobs/snapshot.h"

namespace langrun {
namespace {

/// A lane's scalars behind the update bank's health: of the burn-in bank.
enum BurnInScalar { kRetired, kRounds, kAges, kBurnInScalars = kAges + BankHealth::kAgeBins };

class Longrun final : public TrainingJob {
 public:
  Longrun(const LongrunConfig& config, Communicator& world, std::unique_ptr<FrozenPrior> prior,
          std::unique_ptr<FrozenSource> generator)
      : config_(config), phases_(config_, world, BankHealth::kScalars + kBurnInScalars, std::move(prior)),
        source_(make_source(std::move(generator))),
        update_(phases_.lanes(), config.update_size, phases_.lane_batch(), phases_.energy().image(), 0,
                {"update", "--bank.size", 0, 0}),
        burn_in_(phases_.lanes(), config.burn_in_size, phases_.lane_batch(), phases_.energy().image(), 0,
                 {"burn_in", "--burn-in.size", config.update_size, phases_.lanes().count}) {}

  std::vector<Fact> facts() const override;
  void begin_attempt(std::int64_t attempt) override { phases_.begin_attempt(attempt); }

  void start() override {
    update_.fill(*source_, phases_.keys().bank_fill);
    burn_in_.fill(*source_, phases_.keys().bank_fill);
    // Chains of one age would all retire at once.
    burn_in_.spread_ages(config_.burn_in_rounds, phases_.keys().bank_fill);
  }

  StepRecord step(std::int64_t step) override {
    double sample = 0, update = 0;
    // ---- 1 draw from both banks and 2 sample, lane by lane ----
    std::vector<LaneWork> update_work, burn_in_work;
    const auto& lanes = phases_.lanes();
    for (std::int64_t lane = lanes.first; lane < lanes.first + lanes.owned; ++lane) {
      {
        const PhaseTimer timer(update);
        const torch::NoGradGuard constant;
        update_work.push_back(phases_.begin_lane(lane, step));
        update_.draw(update_work.back(), step, phases_.keys(), kNever, *source_);
        burn_in_work.emplace_back().lane = lane;
        burn_in_.draw(burn_in_work.back(), step, phases_.keys(), kNever, *source_);
      }
      const PhaseTimer timer(sample);
      phases_.sample(update_work.back(), step);
      phases_.sample(burn_in_work.back(), step);
    }
    {
      const PhaseTimer timer(sample);
      phases_.finish(update_work);
      phases_.finish(burn_in_work);
    }
    StepRecord record;
    record.seconds_checkpoint.avg =
        update_.keep_for_checkpoint(update_work) + burn_in_.keep_for_checkpoint(burn_in_work);
    {
      const PhaseTimer timer(update);
      // ---- 3 energy update, from the update bank's chains alone ----
      phases_.add_lanes(update_work, [&](const LaneWork& work) {
        return scalars_of(work, burn_in_work[static_cast<std::size_t>(work.lane - lanes.first)]);
      });
      phases_.wait();
      record_health(phases_.update(step, record), record);
      // ---- 5 return, and retirement from the one into the other ----
      for (std::size_t i = 0; i < update_work.size(); ++i) return_lane(update_work[i], burn_in_work[i], step);
    }
    phases_.account(record, sample, update, phases_.energy().take_seconds());
    record.image_steps_per_second *= 2;  // both banks' chains
    return record;
  }

  std::unique_ptr<Snapshot> snapshot() override;
  void load(const std::filesystem::path& folder) override;
  std::vector<Panel> pictures(const Pulse& pulse) override;

 private:
  static constexpr RejuvenationRule kNever{0, 0};

  std::unique_ptr<ChainSource> make_source(std::unique_ptr<FrozenSource> generator) {
    if (!generator) return std::make_unique<DataSource>(phases_.data());
    generator->open(phases_.energy().image(), phases_.lane_batch(), phases_.device());
    return generator;
  }

  // Counts follow from draws alone, which every rank that owns the lane makes alike: nobody has to be asked.
  bool retires(const LaneWork& burn_in, std::size_t sample) const {
    return burn_in_.rounds_after(burn_in, sample) >= config_.burn_in_rounds;
  }

  std::vector<float> scalars_of(const LaneWork& update, const LaneWork& burn_in) const {
    auto scalars = BankHealth::of_lane(update, &update_);
    float retired = 0;
    for (std::size_t i = 0; i < burn_in.rows.size(); ++i) retired += retires(burn_in, i);
    scalars.push_back(retired);
    const auto rounds = burn_in_.rounds_after(burn_in);
    scalars.push_back(static_cast<float>(std::accumulate(rounds.begin(), rounds.end(), std::int64_t{0})));
    for (const float count : age_bins(rounds)) scalars.push_back(count);
    return scalars;
  }

  void record_health(const std::vector<double>& sums, StepRecord& record) const {
    BankHealth::record(sums, &update_, record);
    const auto burn_in = std::span(sums).subspan(BankHealth::kScalars);
    record.more.emplace_back("retired", burn_in[kRetired]);
    record.more.emplace_back("burn_in_mean_age", burn_in[kRounds] / static_cast<double>(burn_in_.slots()));
    record.arrays.emplace_back("burn_in_ages", std::vector<double>(burn_in.begin() + kAges, burn_in.end()));
  }

  // A burn-in chain that has its rounds takes the place of the update chain at the same place in the batch, so no two
  // can take the same one, and begins anew.
  void return_lane(LaneWork& update, LaneWork& burn_in, std::int64_t step) {
    const torch::NoGradGuard constant;
    std::vector<std::size_t> retired;
    for (std::size_t i = 0; i < burn_in.rows.size(); ++i)
      if (retires(burn_in, i)) retired.push_back(i);
    std::vector<std::int64_t> ages;
    for (const auto i : retired) ages.push_back(burn_in_.rounds_after(burn_in, i));
    if (!retired.empty()) hand_over(update, burn_in, retired, step);
    update_.put_back(update);
    burn_in_.put_back(burn_in);
    for (std::size_t n = 0; n < retired.size(); ++n) {
      update_.set_age(update, retired[n], ages[n]);
      burn_in_.set_age(burn_in, retired[n], 0);
    }
  }

  // In host memory, where both banks are.
  void hand_over(LaneWork& update, LaneWork& burn_in, const std::vector<std::size_t>& retired, std::int64_t step) {
    auto anew = torch::zeros({phases_.lane_batch()}, torch::kBool);
    for (const auto i : retired) anew[static_cast<std::int64_t>(i)] = true;
    update.sampled.host = torch::where(anew.view({-1, 1, 1, 1}), burn_in.sampled.host, update.sampled.host);
    FreshChains chains{burn_in.sampled.host, burn_in.host_latents};
    source_->renew(chains, anew, burn_in.slots, step, phases_.keys().rejuvenation);
    burn_in.sampled.host = chains.images;
  }

  const LongrunConfig config_;
  EnergyPhases phases_;
  std::unique_ptr<ChainSource> source_;
  BankShare update_, burn_in_;
};

std::vector<Fact> Longrun::facts() const {
  auto facts = phases_.facts(0);
  const auto bytes = update_.bytes() + burn_in_.bytes();
  facts.push_back({"chains begin from", source_->description()});
  facts.push_back({"burn-in", fmt::format("{} rounds of {} steps", config_.burn_in_rounds, config_.langevin.steps)});
  facts.push_back({"banks, all ranks", bytes_text(static_cast<std::uint64_t>(bytes))});
  facts.push_back({"banks, a rank", bytes_text(static_cast<std::uint64_t>(bytes / phases_.world().size()))});
  return facts;
}

std::unique_ptr<Snapshot> Longrun::snapshot() {
  auto lanes = burn_in_.lanes();
  lanes.insert(lanes.end(), update_.lanes().begin(), update_.lanes().end());
  auto snapshot =
      std::make_unique<StateSnapshot>(phases_.parts(*source_), lanes, phases_.lanes().first, phases_.lanes().count,
                                      std::vector<std::string>{burn_in_.group(), update_.group()});
  burn_in_.freeze(snapshot->bank());
  update_.freeze(snapshot->bank(), burn_in_.lanes().size());
  return snapshot;
}

void Longrun::load(const std::filesystem::path& folder) {
  phases_.restore(WeightsFile(folder / "weights.h5"), *source_);
  update_.load(folder);
  burn_in_.load(folder);
}

std::vector<Panel> Longrun::pictures(const Pulse& pulse) {
  auto panels = phases_.sample_panels(*source_, pulse);
  panels.push_back(bank_panel("update bank, lane 0", update_, phases_.panel_images()));
  panels.push_back(bank_panel("burn-in bank, lane 0", burn_in_, phases_.panel_images()));
  panels.push_back(panel_of("data", phases_.data().first_images(phases_.panel_images()), phases_.panel_images()));
  return panels;
}

}  // namespace

std::unique_ptr<TrainingJob> make_longrun(const LongrunConfig& config, Communicator& world) {
  // Before anything that one rank alone could fail at: looking for files is a collective.
  std::unique_ptr<FrozenPrior> prior;
  if (!config.terms.prior.empty())
    prior = std::make_unique<FrozenPrior>(config, world);
  else if (config.terms.prior_temperature != 0 || config.terms.prior_weights != "best")
    throw Error(ExitCode::usage, "--prior.weights and --prior.temperature go with --prior.energy",
                "name the prior, or leave them out");
  return std::make_unique<Longrun>(config, world, std::move(prior),
                                   frozen_source(config.source, config.training.from_checkpoint, world));
}

}  // namespace langrun
