#include "core/sphere.h"

#include <cmath>

#include "core/torch.h"

namespace langrun {

at::Tensor on_sphere(const at::Tensor& z) {
  // Below it there is no direction to keep.
  constexpr double kSmall = 1e-30;
  const auto norm = z.square().sum(1, /*keepdim=*/true).clamp_min(kSmall).sqrt();
  return z / norm * std::sqrt(static_cast<double>(z.size(1)));
}

}  // namespace langrun
