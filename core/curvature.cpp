#include "core/curvature.h"

#include "core/torch.h"

namespace langrun {

at::Tensor hessian_product(Energy& network, const at::Tensor& x, const at::Tensor& v, const Activation& activation) {
  const ConstantWeights constant(network);
  const at::AutoGradMode grad(true);
  const auto image = x.detach().requires_grad_();
  const auto u = network.energy_with(image, activation);
  const auto slope = torch::autograd::grad({u}, {image}, {torch::ones_like(u)}, /*retain_graph=*/true,
                                           /*create_graph=*/true)[0];
  // Where all of U is linear in x the slope does not depend on it at all.
  if (!slope.requires_grad()) return torch::zeros_like(x);
  const auto product = torch::autograd::grad({slope}, {image}, {v}, /*retain_graph=*/c10::nullopt,
                                             /*create_graph=*/false, /*allow_unused=*/true)[0];
  return product.defined() ? product : torch::zeros_like(x);
}

CurvatureProduct curvature_product(std::vector<CurvatureTerm> terms, double gaussian, const Activation& activation) {
  // Of a piecewise linear network nothing comes out but zeros, at the price of some gradients.
  if (activation.sharpness == 0)
    std::erase_if(terms, [](const CurvatureTerm& term) { return term.network->piecewise_linear(); });
  return [terms = std::move(terms), gaussian, activation](const at::Tensor& x, const at::Tensor& v) {
    auto sum = gaussian == 0 ? torch::zeros_like(v) : v * gaussian;
    for (const auto& term : terms) sum.add_(hessian_product(*term.network, x, v, activation).mul_(term.share));
    return sum;
  };
}

at::Tensor pull_back(const ChainPiece& piece, const at::Tensor& v, double weight, const CurvatureProduct& curvature) {
  const torch::NoGradGuard constant;
  auto pulled = v.clone();
  for (auto k = static_cast<std::int64_t>(piece.states.size()); k-- > 0;) {
    const auto bend = curvature(piece.states[static_cast<std::size_t>(k)], pulled).mul_(weight);
    for (std::int64_t b = 0; b < pulled.size(0); ++b)
      if (k < piece.made[static_cast<std::size_t>(b)]) pulled[b].sub_(bend[b]);
  }
  return pulled;
}

}  // namespace langrun
