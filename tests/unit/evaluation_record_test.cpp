// Records of an evaluation: as bytes, as a file, redrawn and scored.
#include "jobs/evaluation_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/wilson.h"
#include "data/hdf5.h"
#include "jobs/evaluation_file.h"
#include "jobs/evaluation_result.h"
#include "jobs/judge_redraw.h"
#include "weights_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;

constexpr std::int64_t kClasses = 3, kReplicates = 6;
const Scoring kScoring{.steps = 2, .restarts = 1, .resubmissions = 1, .average = "logits", .classes = kClasses};

/// Replicates' logits: `wrong` of six say class 1, the others class 0, all by the same margin.
JudgeCheck check_of(Purpose purpose, std::uint32_t step, int wrong) {
  JudgeCheck check;
  check.purpose = purpose;
  check.step = step;
  for (int h = 0; h < kReplicates; ++h) {
    check.votes.push_back(h < wrong);
    for (int c = 0; c < kClasses; ++c) check.logits.push_back(c == static_cast<int>(h < wrong) ? 2.0f : 0.0f);
  }
  check.label = 2 * wrong > kReplicates;
  return check;
}

SmallCheck sample_of(std::uint32_t step, std::int32_t label) {
  SmallCheck check;
  check.step = step;
  check.label = label;
  check.loss = 0.5f + static_cast<float>(step);
  check.gradient_norm = step < 2 ? 0.25f : std::numeric_limits<float>::quiet_NaN();
  check.cosine = step < 2 ? 0.75f : std::numeric_limits<float>::quiet_NaN();
  check.first_energy = -1;
  check.last_energy = -2;
  return check;
}

/// Three images of class 0: broken at step 1, robust, naturally wrong. `undecided`: wrong replicates of the checks.
std::vector<ImageRecord> some_records(int undecided) {
  ImageRecord broken{.index = 4, .label = 0, .image_steps = 90};
  broken.judge = {check_of(Purpose::natural, 0, undecided), check_of(Purpose::judge, 1, 6 - undecided),
                  check_of(Purpose::null_judge, 0, undecided)};
  broken.small = {sample_of(0, 0), sample_of(1, 1)};
  ImageRecord robust{.index = 9, .label = 0, .image_steps = 120};
  robust.judge = {check_of(Purpose::natural, 0, undecided)};
  robust.small = {sample_of(0, 0), sample_of(1, 0), sample_of(2, 0)};
  ImageRecord wrong{.index = 2, .label = 0, .image_steps = 30};
  wrong.judge = {check_of(Purpose::natural, 0, 6 - undecided)};
  return {broken, robust, wrong};
}

const WantedRules kPapers{.verified_any_step = true, .any_step = false, .null_control = true};

void expect_same(const RuleResult& a, const RuleResult& b) {
  EXPECT_EQ(a.rule, b.rule);
  EXPECT_EQ(a.share.value, b.share.value);
  EXPECT_EQ(a.share.low, b.share.low);
  EXPECT_EQ(a.share.high, b.share.high);
  EXPECT_EQ(a.noise_low, b.noise_low);
  EXPECT_EQ(a.noise_high, b.noise_high);
  EXPECT_EQ(a.count, b.count);
}

TEST(EvaluationRecord, BytesAndBack) {
  auto record = some_records(1)[0];
  record.judge[1].first_energy = -3;
  record.judge[1].last_energy = -4;
  record.adversarial = {1, 2, 3};
  record.purified_adversarial = {4};
  const auto bytes = packed(record);
  const auto back = unpacked(bytes);
  EXPECT_EQ(packed(back), bytes);
  EXPECT_EQ(back.index, 4U);
  EXPECT_EQ(back.image_steps, 90U);
  EXPECT_EQ(back.adversarial, record.adversarial);
  EXPECT_TRUE(back.purified.empty());
  EXPECT_EQ(back.purified_adversarial, record.purified_adversarial);
  ASSERT_EQ(back.judge.size(), 3U);
  EXPECT_EQ(back.judge[1].purpose, Purpose::judge);
  EXPECT_EQ(back.judge[1].step, 1U);
  EXPECT_EQ(back.judge[1].votes, record.judge[1].votes);
  EXPECT_EQ(back.judge[1].logits, record.judge[1].logits);
  EXPECT_EQ(back.judge[1].first_energy, -3);
  EXPECT_EQ(back.judge[1].last_energy, -4);
  ASSERT_EQ(back.small.size(), 2U);
  EXPECT_EQ(back.small[1].label, 1);
  EXPECT_EQ(back.small[1].loss, 1.5f);
  EXPECT_EQ(back.small[1].cosine, 0.75f);
}

TEST(EvaluationRecord, BytesThatAreNone) {
  const auto record = some_records(1)[0];
  auto bytes = packed(record);
  // Records of before energies were kept end where their list begins.
  const auto older = bytes.size() - sizeof(std::uint64_t) - 2 * record.judge.size() * sizeof(float);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    if (size != older) ASSERT_THROW(unpacked(std::span(bytes).first(size)), Error) << size;
  EXPECT_TRUE(std::isnan(unpacked(std::span(bytes).first(older)).judge[0].first_energy));
  bytes.push_back({});
  error_of(ExitCode::storage, [&] { unpacked(bytes); });
  // A count that no memory would hold.
  std::fill(bytes.begin() + 24, bytes.begin() + 32, std::byte{255});
  error_of(ExitCode::storage, [&] { unpacked(bytes); });
}

TEST(EvaluationRecord, LogitsOfManyClassesAreMeansOfGroups) {
  constexpr std::int64_t kMany = 101;
  std::vector<float> logits(19 * kMany);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 64);
  EXPECT_EQ(stored_rows(19, 100), 19);
  EXPECT_EQ(stored_logits(std::span(logits).first(19 * 100), 19, 100, "softmax").size(), 1900U);
  EXPECT_EQ(stored_rows(19, kMany), 8);
  const auto stored = stored_logits(logits, 19, kMany, "logits");
  EXPECT_EQ(stored_logits(logits, 19, kMany, "logsoftmax"), stored);
  ASSERT_EQ(stored.size(), 8U * kMany);
  std::vector<double> sums(kMany, 0);
  for (std::int64_t row = 0; row < 8; ++row) {
    const auto first = row * 19 / 8, end = (row + 1) * 19 / 8;
    for (std::int64_t c = 0; c < kMany; ++c) {
      double sum = 0;
      for (auto h = first; h < end; ++h) sum += logits[static_cast<std::size_t>(h * kMany + c)];
      EXPECT_FLOAT_EQ(stored[static_cast<std::size_t>(row * kMany + c)],
                      static_cast<float>(sum / static_cast<double>(end - first)));
    }
  }
  EXPECT_EQ(stored_rows(5, kMany), 5);
  EXPECT_EQ(stored_logits(std::span(logits).first(5 * kMany), 5, kMany, "softmax"),
            std::vector<float>(logits.begin(), logits.begin() + 5 * kMany));
}

// In every group of three one replicate is very sure of class 1 and two are sure of class 0: the mean probability is
// for 0, the mean logit for 1.
TEST(JudgeRedraw, OfManyClassesAveragesProbabilities) {
  constexpr std::int64_t kMany = 101, kChains = 24;
  std::vector<float> logits(kChains * kMany, 0);
  JudgeCheck check;
  for (std::int64_t h = 0; h < kChains; ++h) {
    const bool stray = h % 3 == 0;
    logits[static_cast<std::size_t>(h * kMany + stray)] = stray ? 2000 : 15;
    check.votes.push_back(stray);
  }
  check.logits = stored_logits(logits, kChains, kMany, "softmax");
  ASSERT_EQ(check.logits.size(), 8U * kMany);
  for (const auto value : check.logits) ASSERT_TRUE(std::isfinite(value)) << "probabilities of exp(-2000)";
  EXPECT_NEAR(std::exp(check.logits[0]), 2.0 / 3, 1e-4);
  EXPECT_NEAR(std::exp(check.logits[1]), 1.0 / 3, 1e-4);
  const std::vector<ImageRecord> records{{.index = 1, .label = 0, .judge = {check}}};
  auto scoring = kScoring;
  scoring.classes = kMany;
  scoring.average = "softmax";
  const JudgeRedraw redraw(records, scoring, 1);
  EXPECT_EQ(redraw.agreement(), 1);
  EXPECT_FALSE(redraw.opinion(0)(records[0].judge[0], false));
}

TEST(JudgeRedraw, AgreesWhereReplicatesAgree) {
  for (const char* average : {"logits", "softmax", "logsoftmax"}) {
    auto scoring = kScoring;
    scoring.average = average;
    const auto sure = some_records(0);
    const JudgeRedraw redraw(sure, scoring, 1);
    EXPECT_EQ(redraw.agreement(), 1) << average;
    for (const std::int64_t draw : {0, 99}) {
      EXPECT_FALSE(redraw.opinion(draw)(sure[0].judge[0], false));
      EXPECT_TRUE(redraw.opinion(draw)(sure[0].judge[1], false));
      EXPECT_TRUE(redraw.opinion(draw)(sure[0].judge[1], true));
    }
    const auto unsure = some_records(2);
    const JudgeRedraw open(unsure, scoring, 1);
    EXPECT_LT(open.agreement(), 1) << average;
    EXPECT_GT(open.agreement(), 0.5) << average;
    EXPECT_EQ(JudgeRedraw(unsure, scoring, 1).agreement(), open.agreement()) << "keyed";
  }
}

TEST(JudgeRedraw, DrawsFromTheStoredReplicates) {
  // Two wrong of six by equal margins: of six draws at least four (three: a tie, to class 0, the first) wrong.
  std::vector<ImageRecord> records;
  for (std::uint64_t index = 0; index < 60; ++index) {
    records.push_back({.index = index, .label = 0});
    records.back().judge = {check_of(Purpose::natural, 0, 2)};
  }
  double flips = 0;
  for (int k = 4; k <= 6; ++k)
    flips += std::tgamma(7) / std::tgamma(k + 1) / std::tgamma(7 - k) * std::pow(1.0 / 3, k) * std::pow(2.0 / 3, 6 - k);
  const JudgeRedraw redraw(records, kScoring, 1);
  EXPECT_NEAR(1 - redraw.agreement(), flips, 4 * std::sqrt(flips * (1 - flips) / 6000));
  double majority = 0;
  for (const auto& record : records)
    for (std::int64_t draw = 0; draw < JudgeRedraw::kDraws; ++draw)
      majority += redraw.opinion(draw)(record.judge[0], true);
  EXPECT_NEAR(majority / 6000, flips, 4 * std::sqrt(flips * (1 - flips) / 6000)) << "more than half";
}

TEST(EvaluationResult, SharesCurvesAndDiagnostics) {
  const auto result = score_evaluation(some_records(0), kPapers, kScoring, 1, true);
  EXPECT_EQ(result.images, 3);
  EXPECT_DOUBLE_EQ(result.natural.share.value, 2.0 / 3);
  ASSERT_EQ(result.rules.size(), 2U);
  EXPECT_EQ(result.rules[0].rule, "verified_any_step");
  EXPECT_DOUBLE_EQ(result.rules[0].share.value, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.rules[0].noise_low, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.rules[0].noise_high, 1.0 / 3);
  EXPECT_DOUBLE_EQ(*result.robust, 1.0 / 3);
  EXPECT_EQ(result.rules[1].rule, "null_control");
  EXPECT_EQ(result.rules[1].share.value, 0);
  EXPECT_EQ(result.rules[1].count, 2) << "of naturally correct images";
  EXPECT_EQ(result.accuracy_by_step, (std::vector<double>{2.0 / 3, 1.0 / 3, 1.0 / 3}));
  EXPECT_EQ(result.cosine_by_step, (std::vector<double>{0.75, 0.75}));
  EXPECT_EQ(result.replicate_agreement, 1);
  EXPECT_EQ(result.zero_gradients, 0);
  EXPECT_EQ(result.image_steps, 240U);
  EXPECT_TRUE(result.warnings.empty());
}

TEST(EvaluationResult, RedrawnJudgesSpread) {
  const auto result = score_evaluation(some_records(2), kPapers, kScoring, 1, true);
  EXPECT_LT(result.natural.noise_low, result.natural.noise_high);
  EXPECT_LE(result.natural.noise_low, 2.0 / 3);
  EXPECT_GE(result.natural.noise_high, 2.0 / 3);
}

TEST(EvaluationResult, RefusesWhatIsNotCovered) {
  WantedRules rules = kPapers;
  rules.final_step = true;
  const auto text = error_of(ExitCode::usage, [&] { score_evaluation(some_records(0), rules, kScoring, 1, true); });
  EXPECT_NE(text.find("final_step"), std::string::npos) << text;
  EXPECT_NE(text.find("image 4"), std::string::npos) << text;
}

TEST(EvaluationResult, WarnsOfAttacksThatStandStill) {
  auto records = some_records(0);
  records[1].small[0].gradient_norm = 0;
  records[1].small[0].cosine = std::numeric_limits<float>::quiet_NaN();
  for (auto& check : records[0].small) check.cosine = 0.1f;
  records[1].small[1].cosine = 0.1f;
  const auto result = score_evaluation(records, kPapers, kScoring, 1, true);
  EXPECT_DOUBLE_EQ(result.zero_gradients, 0.25);
  ASSERT_EQ(result.warnings.size(), 2U);
  EXPECT_NE(result.warnings[0].find("zero"), std::string::npos);
  EXPECT_NE(result.warnings[1].find("noise"), std::string::npos);
}

TEST(EvaluationResult, WarnsOfGradientsThatNoRuleLooksAt) {
  WantedRules rules{.verified_any_step = false, .any_step = false, .null_control = false, .final_step = true};
  ImageRecord record{.index = 4, .label = 0, .image_steps = 90};
  record.judge = {check_of(Purpose::natural, 0, 0), check_of(Purpose::final_judge, 0, 0)};
  for (std::uint32_t n = 0; n < 2; ++n) {
    auto seen = sample_of(n, 0);
    seen.purpose = Purpose::gradient;
    seen.cosine = 0.1f;
    if (n == 1) seen.gradient_norm = 0;
    record.small.push_back(seen);
  }
  const auto result = score_evaluation({record}, rules, kScoring, 1, true);
  EXPECT_EQ(result.rules.at(0).share.value, 1);
  EXPECT_DOUBLE_EQ(result.zero_gradients, 0.5);
  ASSERT_EQ(result.warnings.size(), 2U);
  EXPECT_NE(result.warnings[0].find("zero"), std::string::npos);
  EXPECT_NE(result.warnings[1].find("noise"), std::string::npos);
}

/// Of ten images, `late` broken at the last step of ten and two at the first.
std::vector<ImageRecord> broken_late(int late) {
  std::vector<ImageRecord> records;
  for (int i = 0; i < 10; ++i) {
    ImageRecord record{.index = static_cast<std::uint64_t>(i), .label = 0};
    record.judge = {check_of(Purpose::natural, 0, 0)};
    const int at = i < 2 ? 0 : i < 2 + late ? 10 : 11;
    for (int n = 0; n <= std::min(at, 10); ++n)
      record.small.push_back(sample_of(static_cast<std::uint32_t>(n), n == at));
    if (at < 11) record.judge.push_back(check_of(Purpose::judge, static_cast<std::uint32_t>(at), 6));
    for (auto& check : record.small) check.gradient_norm = 1;
    records.push_back(std::move(record));
  }
  return records;
}

TEST(EvaluationResult, WarnsOfAttacksThatWereNotThrough) {
  auto scoring = kScoring;
  scoring.steps = 10;
  WantedRules rules = kPapers;
  rules.null_control = false;
  const auto result = score_evaluation(broken_late(1), rules, scoring, 1, true);
  EXPECT_DOUBLE_EQ(result.accuracy_by_step.front(), 0.8);
  EXPECT_DOUBLE_EQ(result.accuracy_by_step.back(), 0.7);
  ASSERT_EQ(result.warnings.size(), 1U);
  EXPECT_NE(result.warnings[0].find("still fell by 0.100"), std::string::npos) << result.warnings[0];
  EXPECT_TRUE(score_evaluation(broken_late(0), rules, scoring, 1, true).warnings.empty());
}

TEST(EvaluationResult, WarnsOfAJudgeThatWaversWithoutAnAttackToo) {
  auto scoring = kScoring;
  scoring.restarts = 0;
  const auto result = score_evaluation(some_records(2), kPapers, scoring, 1, true);
  ASSERT_EQ(result.warnings.size(), 1U);
  EXPECT_NE(result.warnings[0].find("raise --defense.replicates"), std::string::npos) << result.warnings[0];
}

// The control of small samples is mended by more of those that they have.
TEST(EvaluationResult, NullControlNamesItsOwnReplicates) {
  auto records = some_records(0);
  for (std::uint32_t n = 0; n < 3; ++n) {
    auto check = sample_of(n, 1);
    check.purpose = Purpose::null_small;
    for (auto& record : records) record.small.push_back(check);
  }
  auto rules = kPapers;
  rules.verified_any_step = false;
  rules.any_step = true;
  const auto result = score_evaluation(records, rules, kScoring, 1, true);
  ASSERT_FALSE(result.warnings.empty());
  EXPECT_NE(result.warnings[0].find("raise --attack.replicates"), std::string::npos) << result.warnings[0];
}

TEST(EvaluationFile, GivesTheSameScores) {
  const Scratch scratch;
  const auto path = scratch / "records.h5";
  auto records = some_records(2);
  records[0].judge[0].first_energy = -3;
  records[0].judge[0].last_energy = -4;
  const EvaluationFileFacts facts{"seed = 1\n", {"cat", "dog", "frog"}, {3, 32, 32}, scratch / "none.h5"};
  write_evaluation(path, records, kScoring, facts);
  const auto file = read_evaluation(path);
  EXPECT_EQ(file.classes, facts.classes);
  EXPECT_EQ(file.configuration, facts.configuration);
  ASSERT_EQ(file.records.size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) EXPECT_EQ(packed(file.records[i]), packed(records[i])) << i;
  const auto before = score_evaluation(records, kPapers, kScoring, 1, true);
  const auto after = score_evaluation(file.records, kPapers, kScoring, 1, true);
  expect_same(before.natural, after.natural);
  ASSERT_EQ(before.rules.size(), after.rules.size());
  for (std::size_t i = 0; i < before.rules.size(); ++i) expect_same(before.rules[i], after.rules[i]);
  EXPECT_EQ(before.robust, after.robust);
  EXPECT_EQ(before.accuracy_by_step, after.accuracy_by_step);
  EXPECT_EQ(before.cosine_by_step, after.cosine_by_step);
  EXPECT_EQ(before.replicate_agreement, after.replicate_agreement);
  EXPECT_EQ(before.image_steps, after.image_steps);
  EXPECT_EQ(before.warnings, after.warnings);
  write_evaluation(path, {records[1]}, kScoring, facts);
  EXPECT_EQ(read_evaluation(path).records.size(), 1U) << "over what was there";
}

TEST(EvaluationFile, KeepsWhatOthersOfASweepTakeOver) {
  const Scratch scratch;
  constexpr std::uint64_t kSize = 4;
  const std::vector<std::uint8_t> pixels(10 * kSize * kSize * 3, 7);
  {
    auto store = h5::File::create(scratch / "d.h5");
    store.write("/images", {10, kSize, kSize, 3}, pixels.data());
    store.write("/labels", {10}, std::vector<std::int64_t>(10, 0).data());
    store.write_attribute("/", "classes", std::vector<std::string>{"cat", "dog", "frog"});
    store.close();
  }
  auto records = some_records(2);
  records[0].purified.assign(3 * kSize * kSize, 0.25f);
  records[0].purified[5] = -0.5f;
  records[1].adversarial.assign(3 * kSize * kSize, 0.5f);  // of a natural check that was taken over: no picture
  EvaluationFileFacts facts{"seed = 1\n", {"cat", "dog", "frog"}, {3, kSize, kSize}, scratch / "d.h5"};
  write_evaluation(scratch / "older.h5", records, kScoring, facts);
  facts.inputs = "[classifier]\nchecksum = c\n";
  write_evaluation(scratch / "records.h5", records, kScoring, facts);
  const auto file = read_evaluation(scratch / "records.h5");
  EXPECT_EQ(file.records[0].purified, records[0].purified);
  EXPECT_TRUE(file.records[1].purified.empty());
  EXPECT_TRUE(file.records[2].purified.empty());
  EXPECT_EQ(file.inputs, facts.inputs);
  EXPECT_EQ(read_evaluation(scratch / "older.h5").inputs, "");
}

TEST(EvaluationFile, ARecordOfNothing) {
  const Scratch scratch;
  write_evaluation(scratch / "records.h5", {}, kScoring, {"", {"a", "b", "c"}, {3, 32, 32}, {}});
  EXPECT_TRUE(read_evaluation(scratch / "records.h5").records.empty());
}

TEST(EvaluationFile, FilesThatAreNone) {
  const Scratch scratch;
  error_of(ExitCode::input, [&] { read_evaluation(scratch / "missing.h5"); });
  testing::write_file(scratch / "text.h5", "not HDF5");
  error_of(ExitCode::input, [&] { read_evaluation(scratch / "text.h5"); });
}

TEST(Wilson, IntervalsOfShares) {
  const auto most = wilson_interval(8, 10);
  EXPECT_DOUBLE_EQ(most.value, 0.8);
  EXPECT_NEAR(most.low, 0.4902, 5e-5);
  EXPECT_NEAR(most.high, 0.9433, 5e-5);
  const auto all = wilson_interval(10, 10), none = wilson_interval(0, 10);
  EXPECT_NEAR(all.low, 0.7225, 5e-5);
  EXPECT_DOUBLE_EQ(all.high, 1);
  EXPECT_DOUBLE_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.2775, 5e-5);
  const auto unknown = wilson_interval(0, 0);
  EXPECT_EQ(unknown.low, 0);
  EXPECT_EQ(unknown.high, 1);
}

}  // namespace
}  // namespace langrun
