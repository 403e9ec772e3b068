// Frechet distance between two sets of features, each taken as a Gaussian (Heusel et al. 2017, "GANs Trained by a Two
// Time-Scale Update Rule"; with Inception features it is the FID).
#pragma once

#include <ATen/core/TensorBody.h>

namespace langrun {

/// Mean and covariance of features, gathered piece by piece in float64. The same pieces added in the same order, or
/// merged in the same order, give the same bits.
class FeatureStatistics {
 public:
  explicit FeatureStatistics(std::int64_t length);

  /// Takes in features [B, length] of any floating type, as one piece (Chan et al. 1979).
  void add(const at::Tensor& features);
  /// Takes in what `other` has seen, as one piece.
  void merge(const FeatureStatistics& other);

  std::int64_t count() const { return count_; }
  std::int64_t length() const { return length_; }
  /// [length] float64.
  const at::Tensor& mean() const { return mean_; }
  /// [length, length] float64, normalised by count - 1. Wants a count of 2 or more.
  at::Tensor covariance() const;

 private:
  void take(std::int64_t count, const at::Tensor& mean, const at::Tensor& scatter);

  std::int64_t length_;
  std::int64_t count_ = 0;
  at::Tensor mean_;     // [length]
  at::Tensor scatter_;  // [length, length], sum of (x - mean)(x - mean)^T
};

/// |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). The trace of the root is the sum of the roots of the eigenvalues of
/// S1^(1/2) S2 S1^(1/2), which is symmetric; eigenvalues that rounding made negative count as zero. Both need the same
/// length and a count of 2 or more (Error(internal) otherwise).
double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b);

}  // namespace langrun
