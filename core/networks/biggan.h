// BigGAN-deep's discriminator as an energy. Users of energies include energy.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/networks/blocks.h"
#include "core/networks/energy.h"

namespace langrun {

/// The bottleneck blocks of networks.md. Their widths, in multiples of ch, chain: block i goes from widths[i] to
/// widths[i + 1]; every second one pools.
struct BigganPlan {
  std::vector<std::int64_t> widths;
  bool first_pools = false;
  std::size_t attention_before = 0;
  bool pools(std::size_t block) const { return (block % 2 == 0) == first_pools; }
};
/// size 64, 128 or 224.
BigganPlan biggan_plan(std::int64_t size);

/// biggan: conv, bottleneck blocks blocks.0, .., self-attention before one of them, ReLU, global average pool, linear.
/// Unconditional, as in the papers.
class BigganEnergy : public Energy {
 public:
  /// size 64, 128 or 224; base width ch > 0, a multiple of 4 (64: of 8).
  BigganEnergy(std::int64_t size, std::int64_t ch, bool spectral_norm);
  ~BigganEnergy() override;
  ImageShape input() const override { return {3, size_, size_}; }
  at::Tensor energy_with(const at::Tensor& x, const Activation& activation) override;
  bool piecewise_linear() const override { return false; }
  const BigganPlan& plan() const { return plan_; }
  /// Scale of the attention's part, a learnt number: [1].
  at::Tensor& gamma();
  const at::Tensor& gamma() const;
  const Linear& linear() const { return *linear_; }

 private:
  class Bottleneck;
  class Attention;

  std::int64_t size_;
  BigganPlan plan_;
  std::shared_ptr<Conv> conv_;
  std::vector<std::shared_ptr<Bottleneck>> blocks_;
  std::shared_ptr<Attention> attention_;
  std::shared_ptr<Linear> linear_;
};

/// A BigganEnergy of config's width (0: the paper's 48), weights unset but for gamma. Throws Error(usage) for what it
/// cannot be.
std::shared_ptr<BigganEnergy> make_biggan_energy(std::int64_t size, const EnergyConfig& config, std::uint64_t seed);

}  // namespace langrun
