// Area under the receiver operating characteristic: how well one number tells two kinds of samples apart.
#pragma once

#include <span>

namespace langrun {

/// The share of pairs (in, out) in which `out` is the larger value, ties counted half, and its 95 % interval: DeLong,
/// DeLong and Clarke-Pearson 1988, on the logit scale, so that it stays in [0, 1]. At 0 or 1, where that has no
/// variance, Wilson's interval of as many trials as the smaller side has samples.
struct Auroc {
  double value = 0, low = 0, high = 0;
};

/// Of energies, which are low in distribution. Throws Error(input) where a side has none, Error(diverged) where a
/// value is not finite.
Auroc auroc(std::span<const float> in, std::span<const float> out);

}  // namespace langrun
