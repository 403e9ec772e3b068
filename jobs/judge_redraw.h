// The judge redrawn: the same checks with replicates drawn again, with repetition, from those that were stored.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "jobs/evaluation_record.h"
#include "jobs/verdicts.h"

namespace langrun {

class JudgeRedraw {
 public:
  static constexpr std::int64_t kDraws = 100;

  /// Redraws every check of `records`, which must outlive this object. Keyed: the same on every call.
  JudgeRedraw(const std::vector<ImageRecord>& records, const Scoring& scoring, std::int64_t seed);

  /// Verdicts of redraw `draw`.
  JudgeOpinion opinion(std::int64_t draw) const;
  /// Share of checks and redraws whose verdict is the recorded one.
  double agreement() const;

 private:
  struct Verdicts {
    std::vector<bool> wrong, majority_wrong;  ///< by draw
  };
  std::map<const JudgeCheck*, Verdicts> verdicts_;
  std::int64_t same_ = 0, all_ = 0;
};

}  // namespace langrun
