// Rules of success on records made by hand; records to bytes and to a file, and back.
#include "jobs/verdicts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "data/journal.h"
#include "jobs/evaluation_file.h"
#include "jobs/evaluation_result.h"
#include "jobs/judge_redraw.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLabel = 1, kClasses = 3;
const Scoring kScoring{2, 2, 2, "logits", kClasses};

/// A check of four replicates of which `right` say the label; their average has the label if `correct`.
JudgeCheck judge(Purpose purpose, std::uint32_t restart, std::uint32_t step, bool correct, int right = -1) {
  if (right < 0) right = correct ? 4 : 0;
  JudgeCheck check{purpose, restart, step, correct ? 1 : 0, {}, {}};
  for (int h = 0; h < 4; ++h) {
    check.votes.push_back(h < right ? 1 : 0);
    const float high = correct ? 9.0f : 1.0f;
    const std::vector<float> row = h < right ? std::vector{0.0f, high, 0.0f} : std::vector{correct ? 1.0f : 9.0f, 0.0f, 0.0f};
    check.logits.insert(check.logits.end(), row.begin(), row.end());
  }
  return check;
}
SmallCheck small(std::uint32_t restart, std::uint32_t step, bool correct, Purpose purpose = Purpose::small_sample) {
  SmallCheck check;
  check.purpose = purpose;
  check.restart = restart;
  check.step = step;
  check.label = correct ? 1 : 0;
  check.gradient_norm = 1;
  check.cosine = 0.5f;
  return check;
}
ImageRecord record(std::uint64_t index) {
  ImageRecord r;
  r.index = index;
  r.label = kLabel;
  r.judge.push_back(judge(Purpose::natural, 0, 0, true));
  return r;
}
std::vector<std::int64_t> broken(const ImageRecord& r, Rule rule) { return broken_at(r, rule, kScoring, recorded_opinion(kLabel)); }

/// Wrong at step 1 of restart 0 by the small sample; the judge passes it there, and not at step 2.
ImageRecord attacked() {
  auto r = record(5);
  r.small = {small(0, 0, true), small(0, 1, false), small(0, 2, false)};
  r.judge.push_back(judge(Purpose::judge, 0, 1, true, 1));
  r.judge.push_back(judge(Purpose::judge, 0, 2, false, 2));
  return r;
}

using Steps = std::vector<std::int64_t>;

TEST(Verdicts, EachRuleBreaksAtItsStep) {
  const auto r = attacked();
  EXPECT_EQ(broken(r, Rule::any_step), (Steps{1, kNotAttacked}));
  EXPECT_EQ(broken(r, Rule::verified_any_step), (Steps{2, kNotAttacked}));
  // Three of four replicates are wrong at step 1, half of them at step 2: a half is not most.
  EXPECT_EQ(broken(r, Rule::majority_vote), (Steps{1, kNotAttacked}));
  EXPECT_EQ(broken(r, Rule::final_step), (Steps{kUncovered, kUncovered}));
  EXPECT_EQ(survived(broken(r, Rule::final_step)), -1);
  EXPECT_EQ(survived(broken(r, Rule::any_step)), 0);
}

TEST(Verdicts, AnImageHasToSurviveEveryRestart) {
  auto r = record(5);
  for (std::uint32_t n = 0; n <= 2; ++n) r.small.push_back(small(0, n, true));
  EXPECT_EQ(broken(r, Rule::verified_any_step), (Steps{kSurvived, kUncovered}));
  for (std::uint32_t n = 0; n <= 2; ++n) r.small.push_back(small(1, n, true));
  EXPECT_EQ(survived(broken(r, Rule::verified_any_step)), 1);
  r.judge.push_back(judge(Purpose::final_judge, 0, 0, true));
  r.judge.push_back(judge(Purpose::final_judge, 1, 0, false));
  EXPECT_EQ(broken(r, Rule::final_step), (Steps{kSurvived, 2}));
  for (std::uint32_t i = 0; i < 2; ++i) r.judge.push_back(judge(Purpose::resubmission, 0, i, true));
  EXPECT_EQ(broken(r, Rule::resubmission), (Steps{kSurvived, kUncovered}));
  r.judge.push_back(judge(Purpose::resubmission, 1, 0, false));
  EXPECT_EQ(broken(r, Rule::resubmission), (Steps{kSurvived, 2}));
}

TEST(Verdicts, AWrongLabelWithoutItsVerificationIsAGap) {
  auto r = record(5);
  r.small = {small(0, 0, true), small(0, 1, false)};
  EXPECT_EQ(broken(r, Rule::verified_any_step), (Steps{kUncovered, kUncovered}));
  EXPECT_THROW(score_evaluation({r}, {}, kScoring, 1, true), Error);
}

TEST(Verdicts, TheNullControlRepeatsAsManyChecks) {
  auto r = attacked();
  EXPECT_EQ(checks_made(r, Rule::any_step, kScoring), 2);
  EXPECT_EQ(checks_made(r, Rule::verified_any_step, kScoring), 2);
  const auto called = [&](Rule rule) { return null_called_wrong(r, rule, kScoring, recorded_opinion(kLabel)); };
  EXPECT_EQ(called(Rule::verified_any_step), -1);
  r.judge.push_back(judge(Purpose::null_judge, 0, 0, true));
  EXPECT_EQ(called(Rule::verified_any_step), -1);
  r.judge.push_back(judge(Purpose::null_judge, 0, 1, true));
  EXPECT_EQ(called(Rule::verified_any_step), 0);
  r.judge.back().label = 0;
  EXPECT_EQ(called(Rule::verified_any_step), 1);
  r.small.push_back(small(0, 0, true, Purpose::null_small));
  r.small.push_back(small(0, 1, true, Purpose::null_small));
  EXPECT_EQ(called(Rule::any_step), 0);
  EXPECT_EQ(checks_made(r, Rule::any_step, kScoring), 2);
}

TEST(Verdicts, RulesByName) {
  const auto rules = rules_from("final_step,null_control,any_step");
  EXPECT_TRUE(rules.final_step && rules.any_step && rules.null_control);
  EXPECT_FALSE(rules.verified_any_step || rules.majority_vote || rules.resubmission);
  EXPECT_EQ(list_of(rules), "any_step,final_step,null_control");
  EXPECT_THROW(rules_from("any_stop"), Error);
  EXPECT_THROW(rules_from("null_control"), Error);
  EXPECT_THROW(rules_from("final_step,null_control"), Error);
  EXPECT_THROW(rules_from(""), Error);
}

TEST(EvaluationRecord, BytesAndBack) {
  auto r = attacked();
  r.adversarial = {1, 2, 3};
  r.image_steps = 77;
  const auto bytes = packed(r);
  const auto back = unpacked(bytes);
  EXPECT_EQ(packed(back), bytes);
  EXPECT_EQ(back.judge.size(), 3u);
  EXPECT_EQ(back.small[1].step, 1u);
  for (std::size_t length : {std::size_t{0}, std::size_t{9}, bytes.size() / 2, bytes.size() - 1})
    EXPECT_THROW(unpacked(std::span(bytes).first(length)), Error) << length;
}

TEST(EvaluationRecord, BeyondAHundredClassesGroupMeansAreKept) {
  constexpr std::int64_t classes = 101, replicates = 20;
  std::vector<float> logits(classes * replicates);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i / classes);
  const auto kept = stored_logits(logits, replicates, classes);
  ASSERT_EQ(kept.size(), 8u * classes);
  EXPECT_EQ(kept[0], 0.5f);                // replicates 0 and 1
  EXPECT_EQ(kept[7 * classes + 3], 18.0f);  // 17, 18, 19
  EXPECT_EQ(stored_logits(std::span(logits).first(300), 3, 100).size(), 300u);
}

TEST(EvaluationResult, FiguresOfAFewImages) {
  auto robust = record(1), wrong = record(2), hit = attacked();
  for (std::uint32_t restart = 0; restart < 2; ++restart)
    for (std::uint32_t n = 0; n <= 2; ++n) robust.small.push_back(small(restart, n, true));
  wrong.judge[0] = judge(Purpose::natural, 0, 0, false);
  WantedRules rules;
  rules.null_control = false;
  const auto result = score_evaluation({robust, wrong, hit}, rules, kScoring, 1, true);
  EXPECT_DOUBLE_EQ(result.natural.share.value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(*result.robust, 1.0 / 3);
  EXPECT_EQ(result.curve_rule, "verified_any_step");
  ASSERT_EQ(result.accuracy_by_step.size(), 3u);
  EXPECT_DOUBLE_EQ(result.accuracy_by_step[1], 2.0 / 3);
  EXPECT_DOUBLE_EQ(result.accuracy_by_step[2], 1.0 / 3);
  EXPECT_NEAR(result.cosine_by_step[0], 0.5, 1e-6);
  EXPECT_LE(result.rules[0].noise_low, result.rules[0].noise_high);
}

TEST(JudgeRedraw, AgreesWhereReplicatesAgree) {
  auto one = record(3);
  const JudgeRedraw sure({one}, kScoring, 1);
  EXPECT_EQ(sure.agreement(), 1);
  one.judge[0] = judge(Purpose::natural, 0, 0, true, 1);
  const std::vector<ImageRecord> records{one};
  const JudgeRedraw split(records, kScoring, 1), again(records, kScoring, 1);
  EXPECT_LT(split.agreement(), 1);
  EXPECT_EQ(split.agreement(), again.agreement());
}

class EvaluationFiles : public testing::Test {
 protected:
  EvaluationFiles() { fs::create_directories(folder_); }
  ~EvaluationFiles() override { fs::remove_all(folder_); }
  fs::path folder_ = fs::temp_directory_path() / ("langrun-verdicts-" + std::to_string(::getpid()));
};

TEST_F(EvaluationFiles, RecordsAndBack) {
  const std::vector<ImageRecord> records{attacked(), record(9)};
  write_evaluation(folder_ / "records.h5", records, kScoring, {"job = defend\n", {"a", "b", "c"}, {3, 2, 2}, {}});
  const auto back = read_evaluation(folder_ / "records.h5");
  ASSERT_EQ(back.records.size(), 2u);
  EXPECT_EQ(back.classes.size(), 3u);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(packed(back.records[i]), packed(records[i]));
  EXPECT_THROW(read_evaluation(folder_ / "none.h5"), Error);
}

std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(7 * i + count);
  return bytes;
}

TEST_F(EvaluationFiles, AJournalIsReadUpToItsLastWholeRecord) {
  const auto path = folder_ / "j";
  EXPECT_TRUE(read_journal(path).empty());
  {
    Journal journal(path);
    for (std::size_t n : {10, 0, 300}) journal.add(some_bytes(n));
    journal.sync();
  }
  ASSERT_EQ(read_journal(path).size(), 3u);
  fs::resize_file(path, fs::file_size(path) - 1);
  EXPECT_EQ(read_journal(path).size(), 2u);
  Journal(path).add(some_bytes(5));
  const auto records = read_journal(path);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0], some_bytes(10));
  EXPECT_EQ(records[2], some_bytes(5));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(50);
  file.put('x');
  file.close();
  EXPECT_EQ(read_journal(path).size(), 0u);
}

}  // namespace
}  // namespace langrun
