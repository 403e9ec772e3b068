#include "core/frechet.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <fstream>

#include "core/torch.h"
#include "weights_support.h"

namespace langrun {
namespace {

using testing::Scratch;

FeatureStatistics of(const at::Tensor& features) {
  FeatureStatistics statistics(features.size(1));
  statistics.add(features);
  return statistics;
}

/// Four points around (x, y) with variances 2 a^2 / 3 and 2 b^2 / 3 and no covariance.
at::Tensor cross(double x, double y, double a, double b) {
  return torch::tensor({x + a, y, x - a, y, x, y + b, x, y - b}, torch::kFloat64).view({4, 2});
}

/// Features with a known mixture, the same in every run.
at::Tensor mixed(std::int64_t count, std::int64_t length, double phase) {
  const auto i = torch::arange(count, torch::kFloat64).view({-1, 1}),
             j = torch::arange(length, torch::kFloat64).view({1, -1});
  const auto raw = torch::sin(i * (j + 1) * 0.7 + phase) + torch::cos(i * i * 0.013 + j * phase) * 0.5;
  return (raw + raw.roll(1, 1) * 0.6 + phase * 0.1).to(torch::kFloat32);
}

TEST(Frechet, MeanAndCovariance) {
  const auto s = of(cross(1, -2, 3, 0.5));
  EXPECT_EQ(s.count(), 4);
  EXPECT_DOUBLE_EQ(s.mean()[0].item<double>(), 1);
  EXPECT_DOUBLE_EQ(s.mean()[1].item<double>(), -2);
  EXPECT_DOUBLE_EQ(s.covariance()[0][0].item<double>(), 6);
  EXPECT_NEAR(s.covariance()[1][1].item<double>(), 0.5 / 3, 1e-15);
  EXPECT_NEAR(s.covariance()[0][1].item<double>(), 0, 1e-15);
}

TEST(Frechet, DiagonalGaussians) {
  // |m1 - m2|^2 + sum (sigma1 - sigma2)^2
  const double k = std::sqrt(2.0 / 3);
  const double expected = 9 + 16 + k * k * ((3 - 1) * (3 - 1) + (0.5 - 2) * (0.5 - 2));
  EXPECT_NEAR(frechet_distance(of(cross(1, -2, 3, 0.5)), of(cross(4, 2, 1, 2))), expected, 1e-12);
}

TEST(Frechet, CovariancesThatDoNotCommute) {
  // In two dimensions tr (S1 S2)^(1/2) = sqrt(tr S1 S2 + 2 sqrt(det S1 S2)).
  const auto a = of(mixed(50, 2, 0.3)), b = of(mixed(40, 2, 1.9));
  const auto product = a.covariance().matmul(b.covariance());
  const double root = std::sqrt(product.trace().item<double>() + 2 * std::sqrt(at::linalg_det(product).item<double>()));
  const double expected = (a.mean() - b.mean()).square().sum().item<double>() + a.covariance().trace().item<double>() +
                          b.covariance().trace().item<double>() - 2 * root;
  EXPECT_NEAR(frechet_distance(a, b), expected, 1e-12);
  EXPECT_NEAR(frechet_distance(b, a), expected, 1e-12);
}

TEST(Frechet, ZeroForTheSameAndForSingularCovariances) {
  const auto a = of(mixed(300, 64, 0.3));
  EXPECT_NEAR(frechet_distance(a, a), 0, 1e-9);
  // Ten samples in 64 dimensions: most eigenvalues are zero, some negative by rounding.
  const auto few = of(mixed(10, 64, 0.3));
  EXPECT_NEAR(frechet_distance(few, few), 0, 1e-4);
}

TEST(Frechet, PiecesAndMergingAgreeWithTheWhole) {
  const auto features = mixed(1000, 16, 0.8) + 100;  // a large mean: plain sums of squares would lose digits
  const auto whole = of(features);
  FeatureStatistics pieces(16), merged(16);
  for (std::int64_t i = 0; i < 1000; i += 250) {
    pieces.add(features.narrow(0, i, 250));
    merged.merge(of(features.narrow(0, i, 250)));
  }
  EXPECT_TRUE(torch::equal(pieces.covariance(), merged.covariance()));
  EXPECT_TRUE(torch::equal(pieces.mean(), merged.mean()));
  EXPECT_TRUE(torch::allclose(pieces.covariance(), whole.covariance(), 1e-12, 1e-12));
  EXPECT_EQ(pieces.count(), 1000);
}

TEST(Frechet, AFixedSideIsTheSame) {
  const auto a = of(mixed(300, 16, 0.3)), b = of(mixed(200, 16, 1.1));
  EXPECT_EQ(FrechetReference(a).distance_to(b), frechet_distance(a, b));
  EXPECT_EQ(frechet_distance(FeatureStatistics(a.count(), a.mean(), a.scatter()), b), frechet_distance(a, b));
}

TEST(Frechet, TurnedGaussiansKnownExactly) {
  // With S1 = Q D1 Q^T and S2 = Q D2 Q^T the root of the product is Q (D1 D2)^(1/2) Q^T.
  const std::int64_t n = 48;
  const auto [q, r] = at::linalg_qr(mixed(n, n, 0.7).to(torch::kFloat64));
  const auto i = torch::arange(n, torch::kFloat64);
  const auto d1 = torch::exp(-i * 0.3), d2 = 0.5 + torch::cos(i) * 0.4;  // over six decades
  const auto gaussian = [&](const at::Tensor& d, double at) {
    return FeatureStatistics(101, torch::full({n}, at, torch::kFloat64), (q * d).matmul(q.t()) * 100);
  };
  const double expected = n * 0.04 + (d1.sqrt() - d2.sqrt()).square().sum().item<double>();
  EXPECT_NEAR(frechet_distance(gaussian(d1, 0.1), gaussian(d2, 0.3)), expected, 1e-9 * expected);
}

TEST(Frechet, AgreesWithScipyOrNumpy) {
  const Scratch scratch;
  if (const auto why = testing::without_python(scratch, "numpy"); !why.empty()) GTEST_SKIP() << why;
  const auto a = mixed(900, 64, 0.3), b = mixed(700, 64, 1.1);
  const auto save = [&](const at::Tensor& x, const char* name) {
    const auto y = x.contiguous();
    testing::write_file(scratch / name, std::string(static_cast<const char*>(y.data_ptr()), y.nbytes()));
  };
  save(a, "a.bin");
  save(b, "b.bin");
  ASSERT_TRUE(testing::python(scratch, R"(
import numpy as np
a, b = (np.fromfile(n, np.float32).reshape(-1, 64).astype(np.float64) for n in ('a.bin', 'b.bin'))
sa, sb = np.cov(a.T), np.cov(b.T)
try:
    from scipy.linalg import sqrtm
    root, by = np.trace(sqrtm(sa @ sb)).real, 'scipy.linalg.sqrtm'
except ImportError:
    root, by = np.sqrt(np.maximum(np.linalg.eigvals(sa @ sb).real, 0)).sum(), 'numpy.linalg.eigvals (there is no scipy)'
print(repr(float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sa) + np.trace(sb) - 2 * root)), by)
)")) << testing::read_file(scratch / "python.log");
  const auto answer = testing::read_file(scratch / "python.log");
  std::printf("held against %s", answer.substr(answer.find(' ') + 1).c_str());
  const double expected = std::stod(answer), ours = frechet_distance(of(a), of(b));
  EXPECT_NEAR(ours, expected, 1e-6 * expected);
  RecordProperty("relative_difference", fmt::format("{}", std::abs(ours - expected) / expected));
}

}  // namespace
}  // namespace langrun
