// Classifiers: networks that turn an image into one logit a class. Their penultimate features serve Frechet distances.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
#include "core/networks/batch_norm.h"
#include "core/networks/names.h"
#include "core/settings.h"

namespace langrun {

/// A classifier. In evaluation mode (torch's eval(), in which it is made) sample b of a result depends on sample b of x
/// alone. In training mode batch norm takes the statistics of the call's samples, which are one lane's.
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

  /// Its batch-norm layers, in the order of the network.
  std::vector<std::shared_ptr<LaneBatchNorm>> batch_norms() const;

 protected:
  BatchNormUse norm_use() const { return is_training() ? BatchNormUse::lane : BatchNormUse::running; }
};

/// What images are normalised by where a configuration leaves it open: none, cifar10 or imagenet. Throws Error(usage)
/// for an unknown name.
std::string usual_normalisation(const std::string& network);
/// A new classifier in evaluation mode, its weights drawn from `seed` as its paper says. Throws Error(usage) for an
/// unknown name, and for numbers of classes and channels that cannot be.
std::shared_ptr<Classifier> make_classifier(const ClassifierConfig& config, std::uint64_t seed = 0);

}  // namespace langrun
