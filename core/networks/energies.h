// The built-in energies, one class a family. Users of energies include energy.h.
#pragma once

#include <memory>
#include <vector>

#include "core/networks/blocks.h"
#include "core/networks/energy.h"

namespace langrun {

/// light [Stochastic Security]: five plain convolutions, f.0, f.2, .. f.8, with LeakyReLU(0.05) between, for 32x32.
/// 693,569 weights at width 32.
class LightEnergy : public Energy {
 public:
  static constexpr double kSlope = 0.05;
  explicit LightEnergy(std::int64_t width);
  ImageShape input() const override { return {3, 32, 32}; }
  at::Tensor energy_with(const at::Tensor& x, const Activation& activation) override;
  bool piecewise_linear() const override { return true; }
  const std::vector<std::shared_ptr<Conv>>& convolutions() const { return convolutions_; }

 private:
  std::vector<std::shared_ptr<Conv>> convolutions_;
};

/// SNGAN's residual energies for 32, 64 and 128 pixels: stem, blocks.0, .., ReLU, global average pool, linear.
class SnganEnergy : public Energy {
 public:
  SnganEnergy(std::int64_t size, std::vector<ResBlockShape> shapes);
  ImageShape input() const override { return {3, size_, size_}; }
  at::Tensor energy_with(const at::Tensor& x, const Activation& activation) override;
  bool piecewise_linear() const override { return true; }
  /// The stem first.
  const std::vector<std::shared_ptr<ResBlock>>& blocks() const { return blocks_; }
  const Linear& linear() const { return *linear_; }

 private:
  std::int64_t size_;
  std::vector<std::shared_ptr<ResBlock>> blocks_;
  std::shared_ptr<Linear> linear_;
};

/// mlp2d: points of the plane as images [2, 1, 1]; linear layers f.0, f.2, f.4 of width n and f.6 to one number, with
/// SiLU, v / (1 + exp(-v)), between. 8,577 weights at width 64. The first layer is given 8 x: with PyTorch's first
/// weights and x in [-1, 1] the network would be all but linear at the start, and learn anything finer than the radius
/// only after thousands of steps.
class MlpEnergy : public Energy {
 public:
  static constexpr double kScale = 8;
  explicit MlpEnergy(std::int64_t width);
  ImageShape input() const override { return {2, 1, 1}; }
  at::Tensor energy_with(const at::Tensor& x, const Activation& activation) override;
  bool piecewise_linear() const override { return false; }
  const std::vector<std::shared_ptr<Linear>>& layers() const { return layers_; }

 private:
  std::vector<std::shared_ptr<Linear>> layers_;
};

/// A SnganEnergy for images of `size` (32, 64 or 128) at base width n; 0: the paper's. Throws Error(usage).
std::shared_ptr<SnganEnergy> make_sngan_energy(std::int64_t size, std::int64_t width);

}  // namespace langrun
