#include "jobs/persistent_training.h"

#include <fmt/format.h>

#include "core/torch.h"
#include "jobs/bank_health.h"
#include "jobs/snapshot.h"

namespace langrun {
PersistentTraining::PersistentTraining(const EnergyTrainingConfig& config, std::int64_t slots,
                                       const RejuvenationRule& rule, Communicator& world, const MakeSource& make_source)
    : config_(config), rule_(rule), phases_(config_, world, BankHealth::kScalars), source_(make_source(phases_)),
      bank_(phases_.lanes(), slots > 0 ? slots : static_cast<std::int64_t>(phases_.data().count()),
            phases_.lane_batch(), phases_.energy().image(), source_->latent_length()) {}

std::vector<Fact> PersistentTraining::facts() const {
  auto facts = phases_.facts(0);
  facts.push_back({"chains begin from", source_->description()});
  facts.push_back({"rejuvenation p", fmt::format("{:.6g}", rule_.probability)});
  facts.push_back({"bank, all ranks", bytes_text(static_cast<std::uint64_t>(bank_.bytes()))});
  facts.push_back({"bank, a rank", bytes_text(static_cast<std::uint64_t>(bank_.bytes() / phases_.world().size()))});
  return facts;
}

void PersistentTraining::start() { bank_.fill(*source_, phases_.keys().bank_fill); }

StepRecord PersistentTraining::step(std::int64_t step) {
  double sample = 0, update = 0;
  // ---- 1 draw and 2 sample, lane by lane ----
  std::vector<LaneWork> work;
  const auto& lanes = phases_.lanes();
  for (std::int64_t lane = lanes.first; lane < lanes.first + lanes.owned; ++lane) {
    {
      const PhaseTimer timer(update);
      const torch::NoGradGuard constant;
      work.push_back(phases_.begin_lane(lane, step));
      bank_.draw(work.back(), step, phases_.keys(), rule_, *source_);
    }
    const PhaseTimer timer(sample);
    phases_.sample(work.back(), step);
  }
  {
    const PhaseTimer timer(sample);
    phases_.finish(work);
  }
  StepRecord record;
  record.seconds_checkpoint.avg = bank_.keep_for_checkpoint(work);
  {
    const PhaseTimer timer(update);
    // ---- 3 energy update ----
    phases_.add_lanes(work, [this](const LaneWork& lane) { return BankHealth::of_lane(lane, &bank_); });
    phases_.wait();
    const auto sums = phases_.update(step, record);
    BankHealth::record(sums, &bank_, record);
    // ---- 5 return ----
    for (const auto& lane : work) bank_.put_back(lane);
  }
  phases_.account(record, sample, update, phases_.energy().take_seconds());
  return record;
}

std::unique_ptr<Snapshot> PersistentTraining::snapshot() {
  auto snapshot = std::make_unique<StateSnapshot>(phases_.parts(*source_), bank_.lanes(), phases_.lanes().first,
                                                  phases_.lanes().count);
  bank_.freeze(snapshot->bank());
  return snapshot;
}

void PersistentTraining::load(const std::filesystem::path& folder) {
  phases_.restore(WeightsFile(folder / "weights.h5"), *source_);
  bank_.load(folder);
}

std::vector<Panel> PersistentTraining::pictures(const Pulse& pulse) {
  auto panels = phases_.sample_panels(*source_, pulse);
  panels.push_back(bank_panel("bank, lane 0", bank_, phases_.panel_images()));
  panels.push_back(panel_of("data", phases_.data().first_images(phases_.panel_images()), phases_.panel_images()));
  return panels;
}

}  // namespace langrun
