#include "core/adversarial.h"

#include <vector>

#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

/// Evaluation mode for as long as it lives.
class Evaluating {
 public:
  explicit Evaluating(Classifier& classifier) : classifier_(classifier), before_(classifier.is_training()) {
    classifier.eval();
  }
  ~Evaluating() { classifier_.train(before_); }
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;

 private:
  Classifier& classifier_;
  bool before_;
};

/// U(-1, 1) for each value, channels-last as `images`.
at::Tensor uniform_like(const at::Tensor& images, NoiseKey key, std::uint64_t first) {
  std::vector<float> own(static_cast<std::size_t>(images[0].numel()));
  auto draws = torch::empty({images.size(0), images.size(2), images.size(3), images.size(1)});
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    fill_uniform(key, {first + static_cast<std::uint64_t>(i), 0}, own);
    draws[i].view({-1}).copy_(torch::from_blob(own.data(), {static_cast<std::int64_t>(own.size())}));
  }
  return (draws * 2 - 1).permute({0, 3, 1, 2}).to(images.device());
}

}  // namespace

at::Tensor adversarial(Classifier& classifier, const at::Tensor& images, const at::Tensor& labels,
                       const AdversarialConfig& config, NoiseKey key, std::uint64_t first) {
  if (config.steps <= 0) return images;
  const Evaluating evaluating(classifier);
  // /255 of [0, 1] in units of [-1, 1].
  const double eps = config.eps * 2 / 255, alpha = config.alpha * 2 / 255;
  const auto low = (images - eps).clamp_min(-1), high = (images + eps).clamp_max(1);
  auto x = at::min(at::max(images + uniform_like(images, key, first) * eps, low), high);
  for (std::int64_t n = 0; n < config.steps; ++n) {
    const torch::AutoGradMode learning(true);
    x = x.detach().requires_grad_(true);
    const auto loss = at::cross_entropy_loss(classifier.logits(x), labels, {}, at::Reduction::Sum);
    const auto gradient = torch::autograd::grad({loss}, {x})[0];
    x = at::min(at::max(x.detach() + gradient.sign() * alpha, low), high);
  }
  return x.detach();
}

}  // namespace langrun
