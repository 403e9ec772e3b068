#include "core/frechet.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

// Rows that a resample takes in at once, in float64.
constexpr std::int64_t kDrawnRows = 2048;

}  // namespace

FeatureStatistics::FeatureStatistics(std::int64_t length)
    : length_(length), mean_(torch::zeros({length}, torch::kFloat64)),
      scatter_(torch::zeros({length, length}, torch::kFloat64)) {}

FeatureStatistics::FeatureStatistics(std::int64_t count, const at::Tensor& mean, const at::Tensor& scatter)
    : length_(mean.numel()), count_(count), mean_(mean), scatter_(scatter) {
  if (mean.dim() != 1 || scatter.dim() != 2 || scatter.size(0) != length_ || scatter.size(1) != length_)
    throw Error(ExitCode::internal, "mean and scatter of features of different lengths");
}

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

void FeatureStatistics::add_drawn(const at::Tensor& features, const at::Tensor& draws) {
  if (features.dim() != 2 || features.size(1) != length_ || draws.numel() != features.size(0))
    throw Error(ExitCode::internal, fmt::format("features of length {} and as many draws expected", length_));
  for (std::int64_t first = 0; first < features.size(0); first += kDrawnRows) {
    const auto rows = std::min(kDrawnRows, features.size(0) - first);
    const auto x = features.narrow(0, first, rows).to(torch::kFloat64);
    const auto weight = draws.narrow(0, first, rows).to(torch::kFloat64);
    const double count = weight.sum().item<double>();
    if (count == 0) continue;
    const auto mean = weight.matmul(x) / count;
    const auto centred = x - mean;
    take(static_cast<std::int64_t>(count), mean, (centred * weight.unsqueeze(1)).t().matmul(centred));
  }
}

void FeatureStatistics::merge(const FeatureStatistics& other) {
  if (other.length_ != length_) throw Error(ExitCode::internal, "statistics of features of different lengths");
  take(other.count_, other.mean_, other.scatter_);
}

at::Tensor FeatureStatistics::covariance() const {
  if (count_ < 2) throw Error(ExitCode::internal, "a covariance wants two samples or more");
  return scatter_ / static_cast<double>(count_ - 1);
}

bool FeatureStatistics::finite() const {
  return at::isfinite(mean_).all().item<bool>() && at::isfinite(scatter_).all().item<bool>();
}

FrechetReference::FrechetReference(const FeatureStatistics& statistics) : mean_(statistics.mean()) {
  const auto covariance = statistics.covariance();
  const auto [values, vectors] = at::linalg_eigh(covariance);
  root_ = (vectors * values.clamp_min(0).sqrt()).matmul(vectors.t());
  trace_ = covariance.trace().item<double>();
}

double FrechetReference::distance_to(const FeatureStatistics& other) const {
  if (mean_.numel() != other.length())
    throw Error(ExitCode::internal, "features of different lengths have no distance");
  const auto covariance = other.covariance();
  const auto product = root_.matmul(covariance).matmul(root_);
  // Rounding leaves the product not quite symmetric, and eigh reads one half only.
  const auto eigenvalues = at::linalg_eigvalsh((product + product.t()) / 2);
  const double shared = eigenvalues.clamp_min(0).sqrt().sum().item<double>();
  const double means = (mean_ - other.mean()).square().sum().item<double>();
  return means + trace_ + covariance.trace().item<double>() - 2 * shared;
}

double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b) {
  return FrechetReference(a).distance_to(b);
}

}  // namespace langrun
