#include "core/upsample.h"

#include "core/torch.h"

namespace langrun {
namespace {

/// Adjoint of the doubling along `dim`. Going forward, output 2i is .25 x[i-1] + .75 x[i] and output 2i+1 is
/// .75 x[i] + .25 x[i+1], where x[-1] is x[0] and x[n] is x[n-1].
at::Tensor halve(const at::Tensor& gradient, std::int64_t dim) {
  const auto even = gradient.slice(dim, 0, std::nullopt, 2);
  const auto odd = gradient.slice(dim, 1, std::nullopt, 2);
  const auto n = even.size(dim);
  auto result = (even + odd).mul_(0.75);
  result.narrow(dim, 0, n - 1).add_(even.narrow(dim, 1, n - 1), 0.25);
  result.narrow(dim, 1, n - 1).add_(odd.narrow(dim, 0, n - 1), 0.25);
  result.narrow(dim, 0, 1).add_(even.narrow(dim, 0, 1), 0.25);
  result.narrow(dim, n - 1, 1).add_(odd.narrow(dim, n - 1, 1), 0.25);
  return result;
}

struct Upsample2 : torch::autograd::Function<Upsample2> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) {
    return at::upsample_bilinear2d(x, {2 * x.size(2), 2 * x.size(3)}, /*align_corners=*/false);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    return {halve(halve(gradients[0], 2), 3)};
  }
};

}  // namespace

at::Tensor upsample2(const at::Tensor& x) { return Upsample2::apply(x); }

}  // namespace langrun
