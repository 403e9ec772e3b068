// Helpers of the network tests.
#pragma once

#include <gtest/gtest.h>

#include "core/networks/energy.h"
#include "core/torch.h"

namespace langrun {

/// How a failed test shows its network.
inline void PrintTo(const EnergyConfig& config, std::ostream* out) {
  *out << config.network << " of width " << config.width;
}

/// Number of weights of a module (buffers left out).
inline std::int64_t weight_count(const torch::nn::Module& module) {
  std::int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

/// Images like a chain's: mostly inside [-1, 1], from a fixed torch seed.
inline at::Tensor some_images(std::int64_t batch, std::int64_t size, std::uint64_t seed = 1) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn({batch, 3, size, size}, generator, at::kFloat).mul_(0.5);
}

/// The same for any shape of image.
inline at::Tensor some_images(std::int64_t batch, const ImageShape& shape, std::uint64_t seed = 1) {
  auto generator = at::detail::createCPUGenerator(seed);
  return at::randn({batch, shape.channels, shape.height, shape.width}, generator, at::kFloat).mul_(0.5);
}

/// ||a - b|| / ||b|| in float64.
inline double relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const auto wide = b.to(at::kDouble);
  return ((a.to(at::kDouble) - wide).norm() / wide.norm()).item<double>();
}

}  // namespace langrun
