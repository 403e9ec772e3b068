#include "core/networks/activation.h"

#include "core/torch.h"

namespace langrun {

at::Tensor Activation::leaky_relu(const at::Tensor& v, double slope) const {
  if (sharpness > 0) {
    const auto soft = at::softplus(v, sharpness);
    return slope == 0 ? soft : slope * v + (1 - slope) * soft;
  }
  return slope == 0 ? at::relu(v) : at::leaky_relu(v, slope);
}

}  // namespace langrun
