#include "jobs/evaluation_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "jobs/judge_redraw.h"

namespace langrun {
namespace {

/// A share under one opinion of the judge.
struct Counted {
  std::int64_t hits = 0, count = 0;
  double share() const { return count == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(count); }
};

[[noreturn]] void not_covered(const std::string& rule, const ImageRecord& record) {
  throw Error(ExitCode::usage,
              fmt::format("rule {} needs checks that the record of image {} does not hold", rule, record.index),
              "the evaluation left images once its own rules were settled: run it again with --protocols naming this "
              "rule too");
}

class Scorer {
 public:
  Scorer(const std::vector<ImageRecord>& records, const Scoring& scoring, std::int64_t seed, bool defended)
      : records_(records), scoring_(scoring), defended_(defended), redraw_(records, scoring, seed) {}

  RuleResult natural() const {
    return rule("natural", [](const ImageRecord& record, const JudgeOpinion& wrong, bool) {
      return naturally_correct(record, wrong) ? 1 : 0;
    });
  }

  /// Shares are of all images: one that is not naturally correct is not defended. Without an energy final_step counts
  /// what comes out right, as libraries of attacks do.
  RuleResult robust(Rule which) const {
    return rule(name_of(which), [&, which](const ImageRecord& record, const JudgeOpinion& wrong, bool redrawn) {
      const bool counts_all = !defended_ && which == Rule::final_step;
      if (!counts_all && !naturally_correct(record, wrong)) return 0;
      const auto through = survived(broken_at(record, which, scoring_, wrong));
      // A redrawn judge may pass what had ended the path; the path is held fixed, so nothing came after.
      if (through < 0 && redrawn) return 1;
      if (through < 0) not_covered(name_of(which), record);
      return through;
    });
  }

  /// Of naturally correct images.
  RuleResult null_control(Rule which, const std::string& name) const {
    return rule(name, [&, which](const ImageRecord& record, const JudgeOpinion& wrong, bool redrawn) {
      if (!naturally_correct(record)) return -1;
      const auto called = null_called_wrong(record, which, scoring_, wrong);
      if (called < 0 && redrawn) return 0;
      if (called < 0) not_covered(name, record);
      return called;
    });
  }

  double agreement() const { return redraw_.agreement(); }

 private:
  /// `hit` of a record: 1, 0, or -1 where it does not count.
  template <class Hit>
  RuleResult rule(const std::string& name, const Hit& hit) const {
    const auto counted = [&](auto&& opinion_of, bool redrawn) {
      Counted c;
      for (const auto& record : records_) {
        const int one = hit(record, opinion_of(record), redrawn);
        c.hits += one == 1;
        c.count += one >= 0;
      }
      return c;
    };
    const auto as_recorded =
        counted([](const ImageRecord& record) { return recorded_opinion(record.label); }, false);
    std::vector<double> shares;
    for (std::int64_t draw = 0; draw < JudgeRedraw::kDraws; ++draw) {
      const auto opinion = redraw_.opinion(draw);
      shares.push_back(counted([&](const ImageRecord&) { return opinion; }, true).share());
    }
    std::sort(shares.begin(), shares.end());
    RuleResult result{name, wilson_interval(as_recorded.hits, as_recorded.count), 0, 0, as_recorded.count};
    result.noise_low = quantile(shares, 0.025);
    result.noise_high = quantile(shares, 0.975);
    return result;
  }

  static double quantile(const std::vector<double>& sorted, double share) {
    const double at = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
  }

  const std::vector<ImageRecord>& records_;
  const Scoring& scoring_;
  bool defended_;
  JudgeRedraw redraw_;
};

std::vector<double> curve(const std::vector<ImageRecord>& records, Rule rule, const Scoring& scoring) {
  std::vector<double> accuracy;
  for (std::int64_t n = 0; n <= scoring.steps; ++n) {
    std::int64_t standing = 0;
    for (const auto& record : records) {
      if (!naturally_correct(record)) continue;
      const auto broken = broken_at(record, rule, scoring, recorded_opinion(record.label));
      standing += std::none_of(broken.begin(), broken.end(), [n](auto at) { return at >= 0 && at <= n; });
    }
    accuracy.push_back(static_cast<double>(standing) / static_cast<double>(std::max<std::size_t>(records.size(), 1)));
  }
  return accuracy;
}

void gradients(const std::vector<ImageRecord>& records, const Scoring& scoring, EvaluationResult& result) {
  std::vector<double> sum(static_cast<std::size_t>(scoring.steps), 0), count(sum);
  std::int64_t taken = 0, zero = 0;
  for (const auto& record : records)
    for (const auto& small : record.small) {
      if (small.purpose == Purpose::null_small || std::isnan(small.gradient_norm)) continue;
      ++taken;
      zero += small.gradient_norm == 0;
      if (std::isnan(small.cosine) || small.step >= scoring.steps) continue;
      sum[small.step] += static_cast<double>(small.cosine);
      ++count[small.step];
    }
  for (std::size_t n = 0; n < sum.size(); ++n)
    result.cosine_by_step.push_back(count[n] > 0 ? sum[n] / count[n] : std::numeric_limits<double>::quiet_NaN());
  result.zero_gradients = taken == 0 ? 0 : static_cast<double>(zero) / static_cast<double>(taken);
}

double mean_cosine(const EvaluationResult& result) {
  double sum = 0, count = 0;
  for (const auto cosine : result.cosine_by_step)
    if (!std::isnan(cosine)) {
      sum += cosine;
      ++count;
    }
  return count > 0 ? sum / count : 1;
}

/// The null control of the rule that asks the small samples alone.
constexpr const char* kSmallControl = "null_control_any_step";

void warn(EvaluationResult& result) {
  auto& warnings = result.warnings;
  if (result.zero_gradients > 0.01)
    warnings.push_back(
        fmt::format("{:.1f} % of the attack's gradients are zero: the attack stands still there (gradient masking); try "
                    "another loss, another average, or transfer",
                    100 * result.zero_gradients));
  const auto cosine = mean_cosine(result);
  if (cosine < 0.2)
    warnings.push_back(
        fmt::format("the attack's gradient is mostly noise: two halves of the replicates agree by a cosine of {:.2f}; "
                    "randomness averages it away, raise --attack.replicates",
                    cosine));
  const auto& curve = result.accuracy_by_step;
  if (curve.size() >= 10) {
    const auto before = curve[curve.size() - 1 - curve.size() / 5];
    if (before - curve.back() > 0.02)
      warnings.push_back(fmt::format("accuracy still fell by {:.3f} in the last fifth of the attack: raise --attack.steps",
                                     before - curve.back()));
  }
  for (const auto& rule : result.rules)
    if (rule.rule.starts_with("null_control") && rule.share.value > 0.05)
      warnings.push_back(fmt::format(
          "{}: {:.1f} % of unperturbed images are called wrong by as many checks as the attack made: part of its success "
          "is the defense's own randomness; raise --{}.replicates",
          rule.rule, 100 * rule.share.value, rule.rule == kSmallControl ? "attack" : "defense"));
}

void warn_of_judge(EvaluationResult& result) {
  if (result.replicate_agreement < 0.98)
    result.warnings.push_back(
        fmt::format("{:.1f} % of the judge's verdicts change when it is redrawn: raise --defense.replicates",
                    100 * (1 - result.replicate_agreement)));
}

}  // namespace

EvaluationResult score_evaluation(const std::vector<ImageRecord>& records, const WantedRules& rules,
                                  const Scoring& scoring, std::int64_t seed, bool defended) {
  const Scorer scorer(records, scoring, seed, defended);
  EvaluationResult result;
  result.images = static_cast<std::int64_t>(records.size());
  result.natural = scorer.natural();
  result.replicate_agreement = scorer.agreement();
  for (const auto& record : records) result.image_steps += record.image_steps;
  if (scoring.restarts == 0) {
    warn_of_judge(result);
    return result;
  }
  for (const auto rule : rules_of(rules)) {
    result.rules.push_back(scorer.robust(rule));
    const bool by_steps = rule != Rule::final_step && rule != Rule::resubmission;
    if (by_steps && result.accuracy_by_step.empty()) {
      result.curve_rule = name_of(rule);
      result.accuracy_by_step = curve(records, rule, scoring);
    }
    const auto headline = defended ? Rule::verified_any_step : Rule::final_step;
    if (rule == headline) result.robust = result.rules.back().share.value;
  }
  if (rules.null_control && rules.verified_any_step)
    result.rules.push_back(scorer.null_control(Rule::verified_any_step, "null_control"));
  if (rules.null_control && rules.any_step)
    result.rules.push_back(scorer.null_control(Rule::any_step, kSmallControl));
  gradients(records, scoring, result);
  warn(result);
  warn_of_judge(result);
  return result;
}

}  // namespace langrun
