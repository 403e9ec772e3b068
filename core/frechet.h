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
  /// What `mean` [length] and `scatter` [length, length], float64, said of `count` features elsewhere. Takes both as
  /// its own: the caller writes into neither afterwards. Throws Error(internal) where their sizes do not fit together.
  FeatureStatistics(std::int64_t count, const at::Tensor& mean, const at::Tensor& scatter);

  /// Takes in features [B, length] of any floating type, as one piece (Chan et al. 1979).
  void add(const at::Tensor& features);
  /// Takes in features [n, length] of any floating type, row i draws[i] times (int64 [n], none negative): a resample,
  /// without making it. Goes through the rows in pieces of a fixed size.
  void add_drawn(const at::Tensor& features, const at::Tensor& draws);
  /// Takes in what `other` has seen, as one piece.
  void merge(const FeatureStatistics& other);

  std::int64_t count() const { return count_; }
  std::int64_t length() const { return length_; }
  /// [length] float64.
  const at::Tensor& mean() const { return mean_; }
  /// [length, length] float64, the sum of (x - mean)(x - mean)^T.
  const at::Tensor& scatter() const { return scatter_; }
  /// True where mean and scatter hold finite values alone.
  bool finite() const;
  /// [length, length] float64, normalised by count - 1. Wants a count of 2 or more.
  at::Tensor covariance() const;

 private:
  void take(std::int64_t count, const at::Tensor& mean, const at::Tensor& scatter);

  std::int64_t length_;
  std::int64_t count_ = 0;
  at::Tensor mean_;     // [length]
  at::Tensor scatter_;  // [length, length], sum of (x - mean)(x - mean)^T
};

/// One side of a distance, its root taken once: for many distances from the same statistics.
class FrechetReference {
 public:
  /// Wants a count of 2 or more (Error(internal) otherwise).
  explicit FrechetReference(const FeatureStatistics& statistics);
  /// frechet_distance(statistics, other).
  double distance_to(const FeatureStatistics& other) const;

 private:
  at::Tensor mean_, root_;  // [length]; [length, length], S^(1/2)
  double trace_;
};

/// |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). The trace of the root is the sum of the roots of the eigenvalues of
/// S1^(1/2) S2 S1^(1/2), which is symmetric; eigenvalues that rounding made negative count as zero. Both need the same
/// length and a count of 2 or more (Error(internal) otherwise).
double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b);

}  // namespace langrun
