#include "core/gradient_watch.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "core/torch.h"

namespace langrun {
namespace {

class Hook final : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(const GradientWatch::Ready& ready, std::size_t weight) : ready_(ready), weight_(weight) {}
  void operator()(const torch::autograd::Variable&) override { ready_(weight_); }

 private:
  GradientWatch::Ready ready_;
  std::size_t weight_;
};

}  // namespace

GradientWatch::GradientWatch(const NamedTensors& weights, const Ready& ready) : weights_(weights) {
  for (std::size_t i = 0; i < weights_.size(); ++i)
    torch::autograd::impl::set_post_acc_grad_hooks(weights_[i].second, std::make_unique<Hook>(ready, i));
}

GradientWatch::~GradientWatch() {
  for (const auto& [name, weight] : weights_) torch::autograd::impl::set_post_acc_grad_hooks(weight, nullptr);
}

}  // namespace langrun
