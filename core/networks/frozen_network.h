// The ways in which FrozenEnergy computes, one a family of networks.
#pragma once

#include <torch/types.h>

#include <memory>

#include "core/networks/energies.h"

namespace langrun {

/// Type of weights and activations, and where they are.
struct FrozenPlace {
  at::ScalarType type = at::kFloat;
  at::Device device = at::kCPU;
  /// A copy of a weight here.
  at::Tensor take(const at::Tensor& weight) const { return weight.detach().to(device, type); }
};

class FrozenNetwork {
 public:
  virtual ~FrozenNetwork() = default;
  /// Copies the weights of `source`, which is of this way's family and of the same widths. From the second time on into
  /// the same memory: a captured graph (core/device_chain.h) reads them where they were.
  virtual void refresh(const Energy& source) = 0;
  /// x [B, C, H, W] float32 channels-last; called under at::NoGradGuard. The gradient is channels-last, float32; both
  /// results may be written over by the next call. On GPUs: queued on the current stream, and never waits for it.
  virtual EnergyGradient energy_and_gradient(const at::Tensor& x) = 0;
};

std::unique_ptr<FrozenNetwork> freeze_light(const FrozenPlace& place);
std::unique_ptr<FrozenNetwork> freeze_sngan(const FrozenPlace& place);
/// The same on CPUs, over core/tiles; type at::kFloat or at::kBFloat16, for which tiles::kernels must exist.
std::unique_ptr<FrozenNetwork> tile_light(at::ScalarType type);
std::unique_ptr<FrozenNetwork> tile_sngan(at::ScalarType type);
std::unique_ptr<FrozenNetwork> tile_biggan(at::ScalarType type);
std::unique_ptr<FrozenNetwork> tile_mlp(at::ScalarType type);
/// Any energy, by autograd on a replica whose weights are constant.
std::unique_ptr<FrozenNetwork> freeze_by_autograd(const EnergyConfig& config, const FrozenPlace& place);

}  // namespace langrun
