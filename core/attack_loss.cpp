#include "core/attack_loss.h"

#include <algorithm>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

at::Tensor cross_entropy(const at::Tensor& scores, std::int64_t label) {
  return -scores.log_softmax(-1).select(-1, label);
}

/// -(z_y - max_{i != y} z_i) / (z_(1) - z_(3))
at::Tensor dlr(const at::Tensor& scores, std::int64_t label) {
  if (scores.size(-1) < 3)
    throw Error(ExitCode::usage, "the difference of logits ratio wants at least three classes", "use apgd-ce");
  const auto [sorted, order] = scores.sort(/*stable=*/true, /*dim=*/-1, /*descending=*/true);
  const auto first = sorted.select(-1, 0), second = sorted.select(-1, 1), third = sorted.select(-1, 2);
  const bool right = order.select(-1, 0).item<std::int64_t>() == label;
  return -(scores.select(-1, label) - (right ? second : first)) / (first - third + 1e-12);
}

at::Tensor loss_of(const at::Tensor& scores, std::int64_t label, AttackLoss loss) {
  return loss == AttackLoss::dlr ? dlr(scores, label) : cross_entropy(scores, label);
}

at::Tensor mean_loss(const at::Tensor& logits, std::int64_t label, AttackLoss loss) {
  auto sum = loss_of(logits[0], label, loss);
  for (std::int64_t h = 1; h < logits.size(0); ++h) sum = sum + loss_of(logits[h], label, loss);
  return sum / static_cast<double>(logits.size(0));
}

}  // namespace

at::Tensor averaged(const at::Tensor& logits, ReplicateAverage average) {
  if (average == ReplicateAverage::softmax) return logits.softmax(1).mean(0);
  if (average == ReplicateAverage::logsoftmax) return logits.log_softmax(1).mean(0);
  return logits.mean(0);
}

std::int64_t label_of(const at::Tensor& scores) {
  const auto values = scores.contiguous();
  const float* at = values.const_data_ptr<float>();
  return std::max_element(at, at + values.numel()) - at;
}

AttackSignal attack_signal(const at::Tensor& logits, std::int64_t label, ReplicateAverage average, AttackLoss loss) {
  const at::AutoGradMode grad(true);
  // In float32, as every published attack has it: where a softmax is one to its last bit the gradient is zero, and the
  // record says so (a loss in float64 would move on).
  const auto leaves = logits.detach().requires_grad_();
  const auto value = average == ReplicateAverage::loss ? mean_loss(leaves, label, loss)
                                                       : loss_of(averaged(leaves, average), label, loss);
  const auto cotangents = torch::autograd::grad({value}, {leaves})[0];
  return {value.item<double>(), cotangents};
}

}  // namespace langrun
