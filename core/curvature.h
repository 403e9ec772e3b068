// Derivatives of Langevin chains with respect to their starts: the pathwise gradient of an attack through all K steps.
//   x_{k+1} = x_k - w grad E(x_k) + eta z_k,  w = eta^2 / 2,  so  v^T dx_{k+1}/dx_k = v - w H(x_k) v
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/networks/energy.h"

namespace langrun {

/// One term of E(x) = U(x)/T + ...: an energy's Hessian times `share`.
struct CurvatureTerm {
  Energy* network = nullptr;
  double share = 1;
};

/// H(x) v of each sample: x, v [B, C, H, W] of one floating type to the same shape, channels-last or contiguous as x.
using CurvatureProduct = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& v)>;

/// (Hessian of U at x_b) v_b by differentiating grad U . v with the weights held constant, (Leaky)ReLUs as `activation`
/// says. Costs several gradients.
at::Tensor hessian_product(Energy& network, const at::Tensor& x, const at::Tensor& v, const Activation& activation);

/// sum over terms of share * hessian_product, plus `gaussian` v. (Leaky)ReLUs as `activation` says, so that a softplus
/// may stand for them here alone. A piecewise linear U adds nothing, and is not called. Sample b's bits depend on
/// sample b alone within one shape of call. Not for two threads at once on one network.
CurvatureProduct curvature_product(std::vector<CurvatureTerm> terms, double gaussian, const Activation& activation);

/// States of one piece of some chains, and which steps of it each of them makes.
struct ChainPiece {
  std::vector<at::Tensor> states;  ///< [S] x_k .. x_{k+S-1}, each [B, C, H, W]
  std::vector<std::int64_t> made;  ///< [B] steps that sample b makes, at most S
};

/// v^T d x_{k+made} / d x_k of each sample: v <- v - w H(x) v from the last state made back to the first. `weight` is w
/// times what the terms' shares leave out. v [B, C, H, W]; a result of its own.
at::Tensor pull_back(const ChainPiece& piece, const at::Tensor& v, double weight, const CurvatureProduct& curvature);

}  // namespace langrun
