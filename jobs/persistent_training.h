// An energy trained on one persistent bank that begins and is rejuvenated from a source which does not learn.
#pragma once

#include <functional>
#include <memory>

#include "jobs/bank_share.h"
#include "jobs/chain_source.h"
#include "jobs/energy_phases.h"
#include "jobs/training.h"

namespace langrun {

class PersistentTraining final : public TrainingJob {
 public:
  /// Makes the source, once the phases are there.
  using MakeSource = std::function<std::unique_ptr<ChainSource>(EnergyPhases& phases)>;

  /// Collective, all ranks. `slots`: of the bank, 0: one per training image. Throws as EnergyPhases, BankShare and
  /// `make_source` do.
  PersistentTraining(const EnergyTrainingConfig& config, std::int64_t slots, const RejuvenationRule& rule,
                     Communicator& world, const MakeSource& make_source);

  std::vector<Fact> facts() const override;
  void start() override;
  void begin_attempt(std::int64_t attempt) override { phases_.begin_attempt(attempt); }
  StepRecord step(std::int64_t step) override;
  std::unique_ptr<Snapshot> snapshot() override;
  void load(const std::filesystem::path& folder) override;
  std::vector<Panel> pictures(const Pulse& pulse) override;

 private:
  const EnergyTrainingConfig config_;
  const RejuvenationRule rule_;
  EnergyPhases phases_;
  std::unique_ptr<ChainSource> source_;
  BankShare bank_;
};

}  // namespace langrun
