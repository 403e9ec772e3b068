// Figures of an evaluation, from its records: shares with intervals, curves, diagnostics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/wilson.h"
#include "jobs/evaluation_config.h"
#include "jobs/evaluation_record.h"
#include "jobs/verdicts.h"

namespace langrun {

/// The share under one rule.
struct RuleResult {
  std::string rule;                       ///< name_of(rule), null_control or null_control_any_step
  ShareInterval share;                    ///< over images, 95 % (Wilson)
  double noise_low = 0, noise_high = 0;   ///< 95 % of the same share with the judge redrawn, images and paths held fixed
  std::int64_t count = 0;                 ///< of images it is a share of
};

struct EvaluationResult {
  std::int64_t images = 0;
  RuleResult natural;
  std::optional<double> robust;          ///< of verified_any_step; of final_step where there is no energy
  std::vector<RuleResult> rules;
  std::string curve_rule;                ///< by which rule accuracy_by_step is
  std::vector<double> accuracy_by_step;  ///< [N + 1]
  std::vector<double> cosine_by_step;    ///< [N] mean over attacked images; NaN where none was attacked
  double replicate_agreement = 1;        ///< share of checks and redraws whose verdict stayed
  double zero_gradients = 0;             ///< share of attack gradients that were zero
  std::uint64_t image_steps = 0;
  std::vector<std::string> warnings;     ///< where the attack is weaker than one would expect
};

/// Scores records by `rules`. Throws Error(usage) where a rule needs what the records do not cover, naming the rule and
/// an image.
EvaluationResult score_evaluation(const std::vector<ImageRecord>& records, const WantedRules& rules,
                                  const Scoring& scoring, std::int64_t seed, bool defended);

}  // namespace langrun
