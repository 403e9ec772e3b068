#include "jobs/verdicts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "core/error.h"
#include "core/nearest.h"

namespace langrun {
namespace {

struct NamedRule {
  const char* name;
  Rule rule;
  bool WantedRules::*wanted;
};
constexpr std::array<NamedRule, 5> kRules{{{"verified_any_step", Rule::verified_any_step, &WantedRules::verified_any_step},
                                           {"any_step", Rule::any_step, &WantedRules::any_step},
                                           {"final_step", Rule::final_step, &WantedRules::final_step},
                                           {"majority_vote", Rule::majority_vote, &WantedRules::majority_vote},
                                           {"resubmission", Rule::resubmission, &WantedRules::resubmission}}};
constexpr const char* kNullControl = "null_control";

const JudgeCheck* find_judge(const ImageRecord& record, Purpose purpose, std::int64_t restart, std::int64_t step) {
  for (const auto& check : record.judge)
    if (check.purpose == purpose && check.restart == restart && check.step == step) return &check;
  return nullptr;
}

bool attacked(const ImageRecord& record, std::int64_t restart) {
  const auto of_it = [&](const auto& check) { return check.restart == restart; };
  return std::any_of(record.small.begin(), record.small.end(),
                     [&](const SmallCheck& c) { return c.purpose == Purpose::small_sample && of_it(c); }) ||
         std::any_of(record.judge.begin(), record.judge.end(), [&](const JudgeCheck& c) {
           return (c.purpose == Purpose::final_judge || c.purpose == Purpose::resubmission) && of_it(c);
         });
}

std::int64_t broken_by_steps(const ImageRecord& record, Rule rule, const Scoring& scoring, std::int64_t restart,
                             const JudgeOpinion& wrong) {
  std::int64_t seen = 0;
  for (const auto& small : record.small) {
    if (small.purpose != Purpose::small_sample || small.restart != restart) continue;
    ++seen;
    if (small.label == record.label) continue;
    if (rule == Rule::any_step) return small.step;
    const auto* judge = find_judge(record, Purpose::judge, restart, small.step);
    if (judge == nullptr) return kUncovered;
    if (wrong(*judge, rule == Rule::majority_vote)) return small.step;
  }
  return seen == scoring.steps + 1 ? kSurvived : kUncovered;
}

std::int64_t broken_at_end(const ImageRecord& record, Rule rule, const Scoring& scoring, std::int64_t restart,
                           const JudgeOpinion& wrong) {
  const bool once = rule == Rule::final_step;
  const auto count = once ? 1 : scoring.resubmissions;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto* check = find_judge(record, once ? Purpose::final_judge : Purpose::resubmission, restart, i);
    if (check == nullptr) return kUncovered;
    if (wrong(*check, false)) return scoring.steps;
  }
  return kSurvived;
}

}  // namespace

const char* name_of(Rule rule) {
  for (const auto& known : kRules)
    if (known.rule == rule) return known.name;
  return "?";
}

std::vector<Rule> rules_of(const WantedRules& wanted) {
  std::vector<Rule> rules;
  for (const auto& known : kRules)
    if (wanted.*known.wanted) rules.push_back(known.rule);
  return rules;
}

WantedRules rules_from(const std::string& list) {
  WantedRules wanted{false, false, false, false, false, false};
  std::vector<std::string> names{kNullControl};
  for (const auto& known : kRules) names.emplace_back(known.name);
  std::stringstream in(list);
  for (std::string name; std::getline(in, name, ',');) {
    const auto found = std::find_if(kRules.begin(), kRules.end(), [&](const auto& r) { return name == r.name; });
    if (found != kRules.end()) {
      wanted.*found->wanted = true;
    } else if (name == kNullControl) {
      wanted.null_control = true;
    } else {
      const auto close = nearest(name, names);
      throw Error(ExitCode::usage, fmt::format("--protocols: no rule is called '{}'", name),
                  close.empty() ? fmt::format("rules: {}", fmt::join(names, ", "))
                                : fmt::format("did you mean {}?", close));
    }
  }
  if (rules_of(wanted).empty())
    throw Error(ExitCode::usage, fmt::format("--protocols '{}' names no rule of success", list),
                fmt::format("rules: {}", fmt::join(names, ", ")));
  if (wanted.null_control && !wanted.any_step && !wanted.verified_any_step)
    throw Error(ExitCode::usage, "--protocols: null_control goes with verified_any_step or any_step",
                "it repeats their checks on the unperturbed image");
  return wanted;
}

std::string list_of(const WantedRules& wanted) {
  std::vector<std::string> names;
  for (const auto rule : rules_of(wanted)) names.emplace_back(name_of(rule));
  if (wanted.null_control) names.emplace_back(kNullControl);
  return fmt::format("{}", fmt::join(names, ","));
}

Scoring scoring_of(const EvaluationConfig& config, std::int64_t classes) {
  return {config.attack.steps, config.attack.kind == "none" ? 0 : config.attack.restarts, config.defense.resubmissions,
          config.defense.average, classes};
}

JudgeOpinion recorded_opinion(std::int64_t label) {
  return [label](const JudgeCheck& check, bool majority) {
    return majority ? majority_wrong(check, label) : check.label != label;
  };
}

bool majority_wrong(const JudgeCheck& check, std::int64_t label) {
  const auto right = std::count(check.votes.begin(), check.votes.end(), label);
  return 2 * (static_cast<std::int64_t>(check.votes.size()) - right) > static_cast<std::int64_t>(check.votes.size());
}

bool naturally_correct(const ImageRecord& record, const JudgeOpinion& wrong) {
  const auto* check = find_judge(record, Purpose::natural, 0, 0);
  if (check == nullptr) throw Error(ExitCode::input, fmt::format("image {} has no natural check", record.index));
  return !wrong(*check, false);
}

bool naturally_correct(const ImageRecord& record) { return naturally_correct(record, recorded_opinion(record.label)); }

std::vector<std::int64_t> broken_at(const ImageRecord& record, Rule rule, const Scoring& scoring,
                                    const JudgeOpinion& wrong) {
  std::vector<std::int64_t> broken;
  bool through = false;
  for (std::int64_t restart = 0; restart < scoring.restarts; ++restart) {
    if (!attacked(record, restart)) {
      // Without an earlier restart that broke it, one that is missing is a gap.
      broken.push_back(through || !naturally_correct(record) ? kNotAttacked : kUncovered);
      continue;
    }
    const bool at_end = rule == Rule::final_step || rule == Rule::resubmission;
    auto at = at_end ? broken_at_end(record, rule, scoring, restart, wrong)
                     : broken_by_steps(record, rule, scoring, restart, wrong);
    // Already broken by this rule: the restart went on for others, and may have stopped where they were satisfied.
    if (at == kUncovered && through) at = kNotAttacked;
    through = through || at >= 0;
    broken.push_back(at);
  }
  return broken;
}

int survived(const std::vector<std::int64_t>& broken) {
  if (std::any_of(broken.begin(), broken.end(), [](auto at) { return at >= 0; })) return 0;
  return std::find(broken.begin(), broken.end(), kUncovered) == broken.end() ? 1 : -1;
}

std::int64_t checks_made(const ImageRecord& record, Rule rule, const Scoring& scoring) {
  const auto broken = broken_at(record, rule, scoring, recorded_opinion(record.label));
  std::int64_t count = 0;
  for (std::size_t restart = 0; restart < broken.size(); ++restart) {
    if (broken[restart] == kNotAttacked) continue;
    for (const auto& small : record.small) {
      if (small.purpose != Purpose::small_sample || small.restart != restart) continue;
      if (broken[restart] >= 0 && small.step > broken[restart]) continue;
      count += rule == Rule::any_step || small.label != record.label;
    }
    if (broken[restart] >= 0) break;  // what came after was not asked for by this rule
  }
  return count;
}

int null_called_wrong(const ImageRecord& record, Rule rule, const Scoring& scoring, const JudgeOpinion& wrong) {
  const auto wanted = checks_made(record, rule, scoring);
  std::int64_t seen = 0;
  if (rule == Rule::any_step) {
    for (const auto& small : record.small) {
      if (small.purpose != Purpose::null_small || small.step >= wanted) continue;
      if (small.label != record.label) return 1;
      ++seen;
    }
  } else {
    for (const auto& check : record.judge) {
      if (check.purpose != Purpose::null_judge || check.step >= wanted) continue;
      if (wrong(check, false)) return 1;
      ++seen;
    }
  }
  return seen >= wanted ? 0 : -1;
}

}  // namespace langrun
