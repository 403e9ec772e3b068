// Rules of success, applied to an image's record.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jobs/evaluation_config.h"
#include "jobs/evaluation_record.h"

namespace langrun {

/// What breaks an image.
enum class Rule {
  any_step,           ///< wrong once by the small sample
  verified_any_step,  ///< wrong by the small sample, and again by the judge: the papers'
  majority_vote,      ///< the same, where most of the judge's replicates' own labels have to be wrong
  final_step,         ///< wrong by the judge at the attack's last image
  resubmission,       ///< wrong in any of M judge averages at the attack's last image
};

/// any_step, verified_any_step, ...
const char* name_of(Rule rule);
/// Those of `wanted`, in a fixed order.
std::vector<Rule> rules_of(const WantedRules& wanted);
/// From a comma-separated list of names, null_control among them. Throws Error(usage), with the nearest name as hint.
WantedRules rules_from(const std::string& list);
std::string list_of(const WantedRules& wanted);

/// Steps at which a restart broke an image.
constexpr std::int64_t kSurvived = -1;     ///< it did not
constexpr std::int64_t kNotAttacked = -2;  ///< it was not made: an earlier restart had broken the image, or it was wrong
constexpr std::int64_t kUncovered = -3;    ///< the record does not go far enough to say

/// How a record came about, and who says whether a judge's check went wrong.
struct Scoring {
  std::int64_t steps = 0;          ///< N
  std::int64_t restarts = 1;       ///< R; 0: no attack
  std::int64_t resubmissions = 0;  ///< M
  std::string average = "logits";  ///< of the defense
  std::int64_t classes = 0;
};

Scoring scoring_of(const EvaluationConfig& config, std::int64_t classes);

/// Whether a judge's check is wrong, by the rule that asks.
using JudgeOpinion = std::function<bool(const JudgeCheck& check, bool majority)>;
/// As the check came out.
JudgeOpinion recorded_opinion(std::int64_t label);

/// Whether most of the replicates' labels are not `label`; a half is not most.
bool majority_wrong(const JudgeCheck& check, std::int64_t label);

bool naturally_correct(const ImageRecord& record);
bool naturally_correct(const ImageRecord& record, const JudgeOpinion& wrong);

/// [restarts] steps at which the rule broke the image: kSurvived, kNotAttacked, kUncovered. For final_step and
/// resubmission the step is N.
std::vector<std::int64_t> broken_at(const ImageRecord& record, Rule rule, const Scoring& scoring,
                                    const JudgeOpinion& wrong);

/// Worst over restarts: 1 robust, 0 broken, -1 uncovered.
int survived(const std::vector<std::int64_t>& broken);

/// Checks that the attack made under a rule, over all restarts, up to where it broke the image: small samples for
/// any_step, judge's for verified_any_step.
std::int64_t checks_made(const ImageRecord& record, Rule rule, const Scoring& scoring);

/// Null control of verified_any_step or any_step: whether the unperturbed image was called wrong in as many checks as
/// checks_made: 1, 0, or -1 where the record has fewer.
int null_called_wrong(const ImageRecord& record, Rule rule, const Scoring& scoring, const JudgeOpinion& wrong);

}  // namespace langrun
