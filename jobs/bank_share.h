// This rank's lanes of one persistent bank: filled, drawn from, returned to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/bank.h"
#include "core/frozen_bank.h"
#include "core/settings.h"
#include "distributed/lanes.h"
#include "jobs/chain_source.h"
#include "jobs/lane_work.h"
#include "jobs/run_keys.h"

namespace langrun {

/// Which of a run's banks: its name in files, and where its slots and draws begin among those of all banks, so that no
/// two of them share a random number.
struct BankPlace {
  std::string group = "bank";
  std::string option = "--bank.size";  ///< that sizes it, for messages
  std::int64_t first_slot = 0;
  std::int64_t first_draw = 0;  ///< added to the lane that names a step's draw
};

/// Nothing here communicates: a lane's rows, draws and coins follow from the keys alone, so that any rank that owns the
/// lane does the same.
class BankShare {
 public:
  /// `slots`: of the whole bank, over all lanes. Empty until `fill` or `load`. Throws Error(usage) where a lane has
  /// fewer slots than a step draws, `lane_batch`.
  BankShare(const Lanes& lanes, std::int64_t slots, std::int64_t lane_batch, const ImageShape& image,
            std::int64_t latent_length, BankPlace place = {});

  /// Every slot from the source, in calls of one lane's batch; ages begin at 0.
  void fill(ChainSource& source, NoiseKey key);
  /// Ages begin at random in 0 .. most, whole numbers, each as likely, by `key`.
  void spread_ages(std::int64_t most, NoiseKey key);
  /// Reads the lanes from a checkpoint, in place of what was there. Throws Error(input).
  void load(const std::filesystem::path& folder);

  /// Draws this step's rows of work.lane and starts some of them anew: sets rows, slots, rejuvenated, chains and
  /// latents, in host memory.
  void draw(LaneWork& work, std::int64_t step, const RunKeys& keys, const RejuvenationRule& rule, ChainSource& source);
  /// Writes the sampled chains and their latents back and counts the round. Ends a lane's step.
  void put_back(const LaneWork& work);

  /// Rounds since rejuvenation of each of the lane's slots, as they will stand once `work` is returned.
  std::vector<std::int64_t> rounds_after(const LaneWork& work) const;
  /// Of the drawn rows alone.
  std::int64_t rounds_after(const LaneWork& work, std::size_t sample) const;
  /// Sets a drawn row's age, after `put_back`.
  void set_age(const LaneWork& work, std::size_t sample, std::int64_t rounds);

  /// While a checkpoint is written: rows that it has still to read are put aside before `put_back` overwrites them.
  /// `first`: where this bank's lanes begin among the frozen ones.
  void freeze(const std::shared_ptr<FrozenBank>& frozen, std::size_t first = 0) {
    frozen_ = frozen;
    first_frozen_ = first;
  }
  /// Does that; returns the seconds it took.
  double keep_for_checkpoint(const std::vector<LaneWork>& work);

  const std::vector<BankLane>& lanes() const { return bank_; }
  const std::string& group() const { return place_.group; }
  std::int64_t slots() const { return slots_; }
  /// Bytes of the bank, on all ranks.
  double bytes() const;

 private:
  BankLane fill_lane(std::int64_t lane, ChainSource& source, NoiseKey key) const;
  std::uint64_t slot(std::int64_t lane, std::int64_t row) const {
    return static_cast<std::uint64_t>(place_.first_slot + lanes_.slot(lane, row));
  }
  std::size_t at(std::int64_t lane) const { return static_cast<std::size_t>(lane - lanes_.first); }

  Lanes lanes_;
  std::int64_t slots_, lane_batch_;
  ImageShape image_;
  std::int64_t latent_length_;
  BankPlace place_;
  std::vector<BankLane> bank_;        // the lanes this rank owns, in order
  std::weak_ptr<FrozenBank> frozen_;  // while a checkpoint is being written
  std::size_t first_frozen_ = 0;
};

}  // namespace langrun
