// Rules of success on records made by hand.
#include "jobs/verdicts.h"

#include <gtest/gtest.h>

#include "weights_support.h"

namespace langrun {
namespace {

using testing::error_of;

constexpr std::int32_t kRight = 3, kWrong = 5;

/// A record of an image of class 3, written like a story.
struct Story {
  ImageRecord record{.index = 11, .label = kRight};

  Story() { judged(Purpose::natural, 0, 0, kRight); }
  /// A check by four replicates, of which `votes_right` say 3.
  Story& judged(Purpose purpose, std::uint32_t restart, std::uint32_t step, std::int32_t label, int votes_right = 2) {
    JudgeCheck check;
    check.purpose = purpose;
    check.restart = restart;
    check.step = step;
    check.label = label;
    for (int h = 0; h < 4; ++h) check.votes.push_back(h < votes_right ? kRight : kWrong);
    record.judge.push_back(check);
    return *this;
  }
  Story& sampled(std::uint32_t restart, std::uint32_t step, std::int32_t label,
                 Purpose purpose = Purpose::small_sample) {
    SmallCheck check;
    check.purpose = purpose;
    check.restart = restart;
    check.step = step;
    check.label = label;
    record.small.push_back(check);
    return *this;
  }
  /// Right small samples of steps first .. last.
  Story& holds(std::uint32_t restart, std::uint32_t first, std::uint32_t last) {
    for (auto n = first; n <= last; ++n) sampled(restart, n, kRight);
    return *this;
  }
  std::vector<std::int64_t> broken(Rule rule, const Scoring& scoring) const {
    return broken_at(record, rule, scoring, recorded_opinion(kRight));
  }
};

using Steps = std::vector<std::int64_t>;
const Scoring kOnce{.steps = 4, .restarts = 1, .resubmissions = 3, .classes = 10};
const Scoring kTwice{.steps = 4, .restarts = 2, .resubmissions = 3, .classes = 10};

TEST(Verdicts, AnImageThatHoldsSurvives) {
  Story story;
  story.holds(0, 0, 4);
  for (const auto rule : {Rule::any_step, Rule::verified_any_step, Rule::majority_vote}) {
    EXPECT_EQ(story.broken(rule, kOnce), Steps{kSurvived}) << name_of(rule);
    EXPECT_EQ(survived(story.broken(rule, kOnce)), 1);
  }
}

TEST(Verdicts, ByTheSmallSampleByTheJudgeAndByItsMajority) {
  // Wrong at 1 (the judge says right), at 2 (it says wrong by the average, half of its votes), at 4 (most of its
  // votes).
  Story story;
  story.holds(0, 0, 0).sampled(0, 1, kWrong).judged(Purpose::judge, 0, 1, kRight, 3).sampled(0, 2, kWrong);
  story.judged(Purpose::judge, 0, 2, kWrong, 2).holds(0, 3, 3).sampled(0, 4, kWrong);
  story.judged(Purpose::judge, 0, 4, kWrong, 1);
  EXPECT_EQ(story.broken(Rule::any_step, kOnce), Steps{1});
  EXPECT_EQ(story.broken(Rule::verified_any_step, kOnce), Steps{2});
  EXPECT_EQ(story.broken(Rule::majority_vote, kOnce), Steps{4});
  EXPECT_EQ(survived({4}), 0);
}

TEST(Verdicts, TheMajorityIsOfVotesAlone) {
  JudgeCheck check;
  check.label = kRight;
  check.votes = {kWrong, 7, kRight};
  EXPECT_TRUE(majority_wrong(check, kRight)) << "two wrong labels count, though they differ";
  check.votes = {kWrong, 7, kRight, kRight};
  EXPECT_FALSE(majority_wrong(check, kRight)) << "a half is not most";
}

TEST(Verdicts, LastImageOnceAndAgainAndAgain) {
  Story story;
  story.holds(0, 0, 4).judged(Purpose::final_judge, 0, 0, kRight).judged(Purpose::resubmission, 0, 0, kRight);
  story.judged(Purpose::resubmission, 0, 1, kWrong);
  EXPECT_EQ(story.broken(Rule::final_step, kOnce), Steps{kSurvived});
  EXPECT_EQ(story.broken(Rule::resubmission, kOnce), Steps{4}) << "the third was not needed";
  Story right = Story().holds(0, 0, 4).judged(Purpose::resubmission, 0, 0, kRight);
  right.judged(Purpose::resubmission, 0, 1, kRight);
  EXPECT_EQ(right.broken(Rule::resubmission, kOnce), Steps{kUncovered}) << "of three";
  EXPECT_EQ(right.judged(Purpose::resubmission, 0, 2, kRight).broken(Rule::resubmission, kOnce), Steps{kSurvived});
  EXPECT_EQ(right.broken(Rule::final_step, kOnce), Steps{kUncovered});
  EXPECT_EQ(right.judged(Purpose::final_judge, 0, 0, kWrong).broken(Rule::final_step, kOnce), Steps{4});
}

TEST(Verdicts, WorstOverRestarts) {
  Story story;
  story.holds(0, 0, 4).holds(1, 0, 1).sampled(1, 2, kWrong).judged(Purpose::judge, 1, 2, kWrong);
  EXPECT_EQ(story.broken(Rule::verified_any_step, kTwice), (Steps{kSurvived, 2}));
  EXPECT_EQ(survived(story.broken(Rule::verified_any_step, kTwice)), 0);
  EXPECT_EQ(survived({kSurvived, kSurvived}), 1);
}

TEST(Verdicts, RestartsBehindABrokenOneAreNoGap) {
  Story story;
  story.holds(0, 0, 0).sampled(0, 1, kWrong).judged(Purpose::judge, 0, 1, kWrong);
  EXPECT_EQ(story.broken(Rule::verified_any_step, kTwice), (Steps{1, kNotAttacked}));
  EXPECT_EQ(survived(story.broken(Rule::verified_any_step, kTwice)), 0);
  // Broken by any_step in the first restart, which then went on for the judge; the second ended where the judge agreed.
  Story on;
  on.sampled(0, 0, kWrong).judged(Purpose::judge, 0, 0, kRight).holds(0, 1, 4);
  on.holds(1, 0, 2).sampled(1, 3, kWrong).judged(Purpose::judge, 1, 3, kWrong);
  EXPECT_EQ(on.broken(Rule::any_step, kTwice), (Steps{0, 3}));
  EXPECT_EQ(on.broken(Rule::verified_any_step, kTwice), (Steps{kSurvived, 3}));
}

TEST(Verdicts, WhatTheRecordDoesNotCoverIsSaid) {
  Story early;  // left after step 2, broken by any_step alone
  early.holds(0, 0, 1).sampled(0, 2, kWrong);
  EXPECT_EQ(early.broken(Rule::any_step, kOnce), Steps{2});
  EXPECT_EQ(early.broken(Rule::verified_any_step, kOnce), Steps{kUncovered}) << "nobody verified it";
  EXPECT_EQ(survived({kUncovered}), -1);
  EXPECT_EQ(survived({kUncovered, 3}), 0) << "broken is broken";
  EXPECT_EQ(survived({kSurvived, kUncovered}), -1);
  Story cut;
  cut.holds(0, 0, 3);
  EXPECT_EQ(cut.broken(Rule::any_step, kOnce), Steps{kUncovered}) << "of steps 0 .. 4";
  Story one;
  one.holds(0, 0, 4);
  EXPECT_EQ(one.broken(Rule::any_step, kTwice), (Steps{kSurvived, kUncovered})) << "the second restart is missing";
  EXPECT_EQ(Story().broken(Rule::any_step, kOnce), Steps{kUncovered});
  EXPECT_TRUE(Story().broken(Rule::any_step, {.steps = 4, .restarts = 0}).empty());
}

TEST(Verdicts, WrongImagesAreNotAttacked) {
  Story story;
  story.record.judge[0].label = kWrong;
  EXPECT_FALSE(naturally_correct(story.record));
  EXPECT_EQ(story.broken(Rule::verified_any_step, kTwice), (Steps{kNotAttacked, kNotAttacked}));
  story.record.judge.clear();
  const auto text = error_of(ExitCode::input, [&] { naturally_correct(story.record); });
  EXPECT_NE(text.find("11"), std::string::npos);
}

TEST(Verdicts, CountsTheChecksOfAnAttack) {
  // Verified rule: wrong at 1 (not confirmed) and at 3 (confirmed); then it went on for another rule.
  Story story;
  story.holds(0, 0, 0).sampled(0, 1, kWrong).judged(Purpose::judge, 0, 1, kRight).holds(0, 2, 2).sampled(0, 3, kWrong);
  story.judged(Purpose::judge, 0, 3, kWrong).sampled(0, 4, kWrong);
  EXPECT_EQ(checks_made(story.record, Rule::verified_any_step, kOnce), 2);
  EXPECT_EQ(checks_made(story.record, Rule::any_step, kOnce), 2) << "steps 0 and 1";
  // Over restarts: five of the first, three of the second.
  Story twice;
  twice.holds(0, 0, 4).holds(1, 0, 1).sampled(1, 2, kWrong).judged(Purpose::judge, 1, 2, kWrong);
  EXPECT_EQ(checks_made(twice.record, Rule::any_step, kTwice), 8);
  EXPECT_EQ(checks_made(twice.record, Rule::verified_any_step, kTwice), 1);
  EXPECT_EQ(checks_made(twice.record, Rule::any_step, {.steps = 4, .restarts = 3}), 8);
}

TEST(Verdicts, NullControlAsksAsOftenAsTheAttack) {
  Story story;  // two verifications, five small samples
  story.sampled(0, 0, kWrong).judged(Purpose::judge, 0, 0, kRight).holds(0, 1, 3).sampled(0, 4, kWrong);
  story.judged(Purpose::judge, 0, 4, kRight);
  const auto called = [&](Rule rule) { return null_called_wrong(story.record, rule, kOnce, recorded_opinion(kRight)); };
  EXPECT_EQ(called(Rule::verified_any_step), -1) << "none was made";
  story.judged(Purpose::null_judge, 0, 0, kRight);
  EXPECT_EQ(called(Rule::verified_any_step), -1) << "one of two";
  story.judged(Purpose::null_judge, 0, 1, kRight);
  EXPECT_EQ(called(Rule::verified_any_step), 0);
  story.judged(Purpose::null_judge, 0, 2, kWrong);
  EXPECT_EQ(called(Rule::verified_any_step), 0) << "a third check was not the attack's";
  story.record.judge[story.record.judge.size() - 2].label = kWrong;
  EXPECT_EQ(called(Rule::verified_any_step), 1);
  EXPECT_EQ(called(Rule::any_step), -1) << "one check, by any_step";
  story.sampled(0, 0, kWrong, Purpose::null_small);
  EXPECT_EQ(called(Rule::any_step), 1);
  // Nothing to repeat where the attack never got so far.
  EXPECT_EQ(null_called_wrong(Story().holds(0, 0, 4).record, Rule::verified_any_step, kOnce, recorded_opinion(kRight)),
            0);
}

TEST(Verdicts, RulesByName) {
  const auto wanted = rules_from("final_step,null_control,any_step");
  EXPECT_TRUE(wanted.final_step && wanted.any_step && wanted.null_control);
  EXPECT_FALSE(wanted.verified_any_step || wanted.majority_vote || wanted.resubmission);
  EXPECT_EQ(list_of(wanted), "any_step,final_step,null_control");
  const auto all = rules_from("verified_any_step,any_step,final_step,majority_vote,resubmission,null_control");
  EXPECT_EQ(rules_of(all).size(), 5U);
  EXPECT_EQ(list_of(rules_from(list_of(all))), list_of(all));
  EXPECT_EQ(list_of({}), "verified_any_step,any_step,null_control") << "the default";
}

TEST(Verdicts, RulesThatAreNone) {
  EXPECT_NE(error_of(ExitCode::usage, [] { rules_from("final_stp"); }).find("did you mean final_step?"),
            std::string::npos);
  EXPECT_NE(error_of(ExitCode::usage, [] { rules_from("zzzzzzzzzzzz"); }).find("rules: "), std::string::npos);
  EXPECT_NE(error_of(ExitCode::usage, [] { rules_from(""); }).find("names no rule"), std::string::npos);
  EXPECT_NE(error_of(ExitCode::usage, [] { rules_from("null_control"); }).find("names no rule"), std::string::npos);
  EXPECT_NE(error_of(ExitCode::usage, [] { rules_from("final_step,null_control"); }).find("goes with"),
            std::string::npos);
}

}  // namespace
}  // namespace langrun
