#include "core/auroc.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "core/error.h"
#include "tests/unit/weights_support.h"

namespace langrun {
namespace {

double by_counting(const std::vector<float>& in, const std::vector<float>& out) {
  double sum = 0;
  for (const float o : out)
    for (const float i : in) sum += o > i ? 1 : o == i ? 0.5 : 0;
  return sum / (static_cast<double>(in.size()) * static_cast<double>(out.size()));
}

std::vector<float> normals(std::size_t count, double mean, unsigned seed, double step = 0) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> law(mean, 1);
  std::vector<float> values(count);
  for (auto& v : values) {
    v = static_cast<float>(law(bits));
    if (step > 0) v = static_cast<float>(std::round(v / step) * step);  // ties
  }
  return values;
}

TEST(Auroc, CountsPairsWithTies) {
  for (const double step : {0.0, 0.5}) {
    const auto in = normals(137, 0, 1, step), out = normals(211, 0.7, 2, step);
    EXPECT_NEAR(auroc(in, out).value, by_counting(in, out), 1e-14);
  }
  EXPECT_EQ(auroc(std::vector<float>{1, 2}, std::vector<float>{3, 4}).value, 1);
  EXPECT_EQ(auroc(std::vector<float>{3, 4}, std::vector<float>{1, 2}).value, 0);
  EXPECT_EQ(auroc(std::vector<float>{1, 1}, std::vector<float>{1}).value, 0.5);
}

// What sklearn.metrics.roc_auc_score (scikit-learn 1.9.1) says of the same numbers.
TEST(Auroc, IsScikitLearns) {
  const std::vector<float> in{-3.25, -2.5, -2.5, -1.75, -1.0, -1.0, -0.5, -0.5, 0.25, 0.25, 1.5};
  const std::vector<float> out{-2.5, -1.0, -0.5, -0.5, 0.0, 0.25, 0.25, 0.75, 1.5, 1.5, 2.25, 3.0};
  EXPECT_NEAR(auroc(in, out).value, 0.7575757575757575, 1e-12);
  const std::vector<float> far_in{0.1f, 0.7f, 1e30f, -1e30f, 2.5f, 2.5f, -7.0f};
  const std::vector<float> far_out{2.5f, 0.1f, 1e30f, -3e38f, 0.7f, 0.7f, 0.69999999f, 9.0f, -7.0f};
  EXPECT_NEAR(auroc(far_in, far_out).value, 0.5079365079365079, 1e-12);
}

TEST(Auroc, TheIntervalCoversTheTruthAsOftenAsItSays) {
  // Of two normals a distance d apart the exact value is Phi(d / sqrt 2).
  const double exact = 0.5 * std::erfc(-1.0 / std::sqrt(2.0) / std::sqrt(2.0));
  int covered = 0;
  constexpr int kTimes = 400;
  for (unsigned i = 0; i < kTimes; ++i) {
    const auto a = auroc(normals(60, 0, 2 * i + 11), normals(80, 1, 2 * i + 12));
    covered += a.low <= exact && exact <= a.high;
  }
  EXPECT_GE(covered, 0.92 * kTimes);
  EXPECT_LE(covered, 0.985 * kTimes);
}

TEST(Auroc, AtTheEndsTheIntervalIsNotAPoint) {
  const auto a = auroc(normals(50, 0, 1), normals(50, 100, 2));
  EXPECT_EQ(a.value, 1);
  EXPECT_EQ(a.high, 1);
  EXPECT_LT(a.low, 0.95);
  EXPECT_GT(a.low, 0.85);
}

TEST(Auroc, RefusesNothingAndWhatIsNotFinite) {
  testing::error_of(ExitCode::input, [] { auroc({}, std::vector<float>{1}); });
  using Limits = std::numeric_limits<float>;
  for (const float value : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
    const std::vector<float> good{1, 2}, bad{1, value};
    testing::error_of(ExitCode::diverged, [&] { auroc(good, bad); });
    testing::error_of(ExitCode::diverged, [&] { auroc(bad, good); });
  }
}

}  // namespace
}  // namespace langrun
