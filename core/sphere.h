// Latents on a sphere.
#pragma once

#include <ATen/core/Tensor.h>

namespace langrun {

/// z scaled to the sphere of radius sqrt(n): z [B, n] float32, differentiable. A latent of zeros stays.
at::Tensor on_sphere(const at::Tensor& z);

}  // namespace langrun
