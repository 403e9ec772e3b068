#include "core/frechet.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {

FeatureStatistics::FeatureStatistics(std::int64_t length)
    : length_(length), mean_(torch::zeros({length}, torch::kFloat64)),
      scatter_(torch::zeros({length, length}, torch::kFloat64)) {}

void FeatureStatistics::take(std::int64_t count, const at::Tensor& mean, const at::Tensor& scatter) {
  if (count == 0) return;
  const auto total = static_cast<double>(count_ + count);
  const auto shift = mean - mean_;
  const double weight = static_cast<double>(count_) * static_cast<double>(count) / total;
  scatter_ = scatter_ + scatter + shift.outer(shift) * weight;
  mean_ = mean_ + shift * (static_cast<double>(count) / total);
  count_ += count;
}

void FeatureStatistics::add(const at::Tensor& features) {
  if (features.dim() != 2 || features.size(1) != length_)
    throw Error(ExitCode::internal, fmt::format("features of length {} expected", length_));
  if (features.size(0) == 0) return;
  const auto x = features.detach().to(torch::kCPU, torch::kFloat64);
  const auto mean = x.mean(0);
  const auto centred = x - mean;
  take(x.size(0), mean, centred.t().matmul(centred));
}

void FeatureStatistics::merge(const FeatureStatistics& other) {
  if (other.length_ != length_) throw Error(ExitCode::internal, "statistics of features of different lengths");
  take(other.count_, other.mean_, other.scatter_);
}

at::Tensor FeatureStatistics::covariance() const {
  if (count_ < 2) throw Error(ExitCode::internal, "a covariance wants two samples or more");
  return scatter_ / static_cast<double>(count_ - 1);
}

double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b) {
  if (a.length() != b.length()) throw Error(ExitCode::internal, "features of different lengths have no distance");
  const auto s1 = a.covariance(), s2 = b.covariance();
  const auto [values, vectors] = at::linalg_eigh(s1);
  const auto root = (vectors * values.clamp_min(0).sqrt()).matmul(vectors.t());
  const auto product = root.matmul(s2).matmul(root);
  // Rounding leaves the product not quite symmetric, and eigh reads one half only.
  const auto eigenvalues = at::linalg_eigvalsh((product + product.t()) / 2);
  const double shared = eigenvalues.clamp_min(0).sqrt().sum().item<double>();
  const double means = (a.mean() - b.mean()).square().sum().item<double>();
  return means + s1.trace().item<double>() + s2.trace().item<double>() - 2 * shared;
}

}  // namespace langrun
