// Energies for sampling: weights that stay the same over many steps, and gradients in the image alone.
#pragma once

#include <torch/types.h>

#include <memory>
#include <string>

#include "core/networks/energy.h"

namespace langrun {

/// One way of computing an energy and its gradient with fixed weights (frozen_network.h).
class FrozenNetwork;

/// A replica of an energy for Langevin chains: no weight gradients, weights in the layout that is fastest to use, for
/// every built-in network with forward and backward passes written out. Results agree with Energy::energy_and_gradient
/// to rounding. Within one shape of call, sample b's bits depend on sample b alone, not on its place or its neighbours.
/// On CPUs with AVX2 or AVX-512 these passes run on core/tiles and, between refreshes, allocate nothing once a shape of
/// call was seen.
class FrozenEnergy {
 public:
  /// precision "fp32"; "tf32" (GPUs alone): factors of products rounded to TensorFloat-32; or "bf16": weights and
  /// activations in bfloat16. Images, energies and gradients are float32. Throws Error(usage) for another, for bf16 on
  /// a processor without bfloat16 products, for tf32 on any processor, and as make_energy.
  FrozenEnergy(const EnergyConfig& config, const std::string& precision, const at::Device& device);
  /// Of an energy that is no built-in network, in fp32, as its own energy_and_gradient computes: `refresh` is not
  /// needed.
  explicit FrozenEnergy(std::shared_ptr<Energy> energy);
  ~FrozenEnergy();
  FrozenEnergy(FrozenEnergy&&) noexcept;
  FrozenEnergy& operator=(FrozenEnergy&&) noexcept;

  /// Takes over the weights of `source`, an energy of the same configuration. To be called before the first gradient,
  /// and after every update that the chains should see. On a GPU into the same memory each time, so that graphs stay
  /// valid.
  void refresh(const Energy& source);
  /// U(x) [B] and its gradient [B, C, H, W] channels-last, float32; x float32 of any memory format (channels-last saves
  /// a copy). The tensors are this object's own and written over by the next call: clone what is to stay. Not for two
  /// threads at once. Throws Error(input) for images of another shape.
  EnergyGradient energy_and_gradient(const at::Tensor& x);

 private:
  ImageShape image_;
  bool tensor_float_ = false;
  std::unique_ptr<FrozenNetwork> network_;
};

/// Whether the processor multiplies bfloat16 numbers itself (AVX512_BF16, and so every one with AMX).
bool processor_has_bf16();

}  // namespace langrun
