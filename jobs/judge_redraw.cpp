#include "jobs/judge_redraw.h"

#include <algorithm>
#include <cmath>

#include "core/noise.h"

namespace langrun {
namespace {

/// What a row of logits adds to the average.
std::vector<double> scores_of(const float* row, std::size_t classes, const std::string& average) {
  std::vector<double> scores(row, row + classes);
  if (average == "logits") return scores;
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const auto score : scores) sum += std::exp(score - top);
  for (auto& score : scores)
    score = average == "softmax" ? std::exp(score - top) / sum : score - top - std::log(sum);
  return scores;
}

}  // namespace

JudgeRedraw::JudgeRedraw(const std::vector<ImageRecord>& records, const Scoring& scoring, std::int64_t seed) {
  const auto key = noise_key(static_cast<std::uint64_t>(seed), Stream::judge_redraw);
  const auto classes = static_cast<std::size_t>(scoring.classes);
  for (const auto& record : records) {
    for (const auto& check : record.judge) {
      const auto rows = check.logits.size() / classes;
      std::vector<std::vector<double>> scores;
      for (std::size_t row = 0; row < rows; ++row)
        scores.push_back(scores_of(check.logits.data() + row * classes, classes, scoring.average));
      const auto identity = chain_of({record.index, check.purpose, check.restart, check.step}, 0);
      auto& verdicts = verdicts_[&check];
      for (std::int64_t draw = 0; draw < kDraws; ++draw) {
        std::vector<double> sum(classes, 0);
        for (std::size_t i = 0; i < rows; ++i) {
          const auto pick =
              uniform_integer(key, {identity, static_cast<std::uint32_t>(draw)}, static_cast<std::uint32_t>(i), rows);
          for (std::size_t c = 0; c < classes; ++c) sum[c] += scores[pick][c];
        }
        std::int64_t right = 0;
        for (std::size_t i = 0; i < check.votes.size(); ++i)
          right += check.votes[uniform_integer(key, {identity, static_cast<std::uint32_t>(kDraws + draw)},
                                               static_cast<std::uint32_t>(i), check.votes.size())] == record.label;
        const auto label = std::max_element(sum.begin(), sum.end()) - sum.begin();
        verdicts.wrong.push_back(label != record.label);
        verdicts.majority_wrong.push_back(2 * (static_cast<std::int64_t>(check.votes.size()) - right) >
                                          static_cast<std::int64_t>(check.votes.size()));
        same_ += verdicts.wrong.back() == (check.label != record.label);
        ++all_;
      }
    }
  }
}

JudgeOpinion JudgeRedraw::opinion(std::int64_t draw) const {
  return [this, draw](const JudgeCheck& check, bool majority) {
    const auto& verdicts = verdicts_.at(&check);
    return static_cast<bool>((majority ? verdicts.majority_wrong : verdicts.wrong)[static_cast<std::size_t>(draw)]);
  };
}

double JudgeRedraw::agreement() const {
  return all_ == 0 ? 1 : static_cast<double>(same_) / static_cast<double>(all_);
}

}  // namespace langrun
