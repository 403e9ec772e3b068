// Classifiers: networks that turn an image into one logit a class. Their penultimate features serve Frechet distances.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "core/images.h"

namespace langrun {

/// A classifier in inference mode: sample b of a result depends on sample b of x alone.
class Classifier : public torch::nn::Module {
 public:
  /// Image size that the network was made for.
  virtual ImageShape input() const = 0;
  virtual std::int64_t classes() const = 0;
  /// Length of one image's features.
  virtual std::int64_t feature_length() const = 0;
  /// x [B, C, H, W] float32 in [-1, 1] to logits [B, classes] float32. Differentiable in x. The network's own range
  /// and normalisation are applied inside.
  virtual at::Tensor logits(const at::Tensor& x) = 0;
  /// x as above to penultimate features [B, feature_length] float32: what the last linear layer sees.
  virtual at::Tensor features(const at::Tensor& x) = 0;
};

/// Names that make_classifier knows.
std::vector<std::string> classifier_names();
/// A new classifier whose weights are all zero (scales and running variances one) until they are loaded. Throws
/// Error(usage) for an unknown name.
std::shared_ptr<Classifier> make_classifier(const std::string& name, std::int64_t classes = 10);

}  // namespace langrun
