// Energies: networks that give an image one number, low on data.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "core/images.h"
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
  /// U(x): x [B, C, H, W] float32 in [-1, 1] (not clamped) to [B] float32. Differentiable in x and in the weights.
  virtual at::Tensor energy(const at::Tensor& x) = 0;
  /// U(x) and its gradient in x, without any weight gradient. x [B, C, H, W]; the gradient has x's memory format.
  /// The default runs autograd with the weights held constant; networks override it where they know a shorter way.
  virtual EnergyGradient energy_and_gradient(const at::Tensor& x);
};

/// Names that make_energy knows.
std::vector<std::string> energy_names();
/// A new energy with weights drawn from `seed` (the same on every rank): PyTorch's default for light, Glorot-uniform
/// kernels and zero biases for the others. Throws Error(usage) for an unknown name, with the nearest as hint.
std::shared_ptr<Energy> make_energy(const EnergyConfig& config, std::uint64_t seed);

}  // namespace langrun
