// Energies: networks that give an image one number, low on data.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
#include "core/networks/activation.h"
#include "core/networks/names.h"
#include "core/settings.h"

namespace langrun {

/// Energies and their gradient with respect to the images.
struct EnergyGradient {
  at::Tensor energy;    ///< [B] float32
  at::Tensor gradient;  ///< [B, C, H, W] float32, d energy_b / d x_b
};

/// An energy U(x). Evaluation only couples nothing: sample b of the result depends on sample b of x alone.
class Energy : public torch::nn::Module {
 public:
  /// Image size that the network takes.
  virtual ImageShape input() const = 0;
  /// U(x): x [B, C, H, W] float32 in [-1, 1] (not clamped), any memory format, to [B] float32. Differentiable in x and
  /// in the weights. Throws Error(input) for images of another shape.
  at::Tensor energy(const at::Tensor& x) { return energy_with(x, {}); }
  /// The same with (Leaky)ReLUs computed as `activation` says; other nonlinearities stay as they are.
  virtual at::Tensor energy_with(const at::Tensor& x, const Activation& activation) = 0;
  /// Whether U is piecewise linear in x, so that its second derivative is zero wherever it has one.
  virtual bool piecewise_linear() const = 0;
  /// U(x) and its gradient in x, without any weight gradient. x [B, C, H, W]; the gradient has x's memory format.
  /// Runs autograd with the weights held constant. Not for two threads at once on one network. Chains run on
  /// FrozenEnergy, which knows shorter ways.
  virtual EnergyGradient energy_and_gradient(const at::Tensor& x);
};

/// Throws Error(input) unless x is [B, C, H, W] of this image shape.
void check_images(const at::Tensor& x, const ImageShape& shape);

/// Holds the parameters of a module constant while it lives: autograd computes no gradient for them.
class ConstantWeights {
 public:
  explicit ConstantWeights(torch::nn::Module& module);
  ~ConstantWeights();
  ConstantWeights(const ConstantWeights&) = delete;
  ConstantWeights& operator=(const ConstantWeights&) = delete;

 private:
  std::vector<at::Tensor> held_;  ///< those that required a gradient before
};

/// A new energy with weights drawn from `seed` (the same on every rank): PyTorch's default for light and mlp2d,
/// Glorot-uniform kernels and zero biases for the others. Throws Error(usage) for an unknown name, with the nearest as
/// hint, for a width that the network's channel counts do not allow, and for biggan's options given to another network.
std::shared_ptr<Energy> make_energy(const EnergyConfig& config, std::uint64_t seed);

}  // namespace langrun
