// First weights, drawn by keyed noise: a parameter's numbers depend on the seed and its own name alone, so every rank
// has the same bits, and a layer added elsewhere does not move them.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace langrun {

/// The law of the first weights.
enum class WeightLaw {
  torch_default,  ///< weights and biases U(-1/sqrt(fan in), 1/sqrt(fan in)): PyTorch's for convolutions and linears
  glorot,         ///< kernels U(-b, b), b = sqrt(6 / (fan in + fan out)); biases 0
  glorot_relu,    ///< convolutions as glorot with b sqrt(2) times as large; linears as torch_default
  kaiming,        ///< convolutions N(0, 2 / fan in), biases 0; linears as torch_default
};

/// Draws every parameter of `module` named `weight` or `bias` of a convolution or linear layer, in place. Parameters of
/// one dimension with no kernel beside them (batch norm) become 1 (`weight`) and 0 (`bias`); others are left alone.
/// `role` ("energy", "generator", ...) is part of each name, so that two networks of one run share no numbers.
void initialise(torch::nn::Module& module, WeightLaw law, std::uint64_t seed, std::string_view role);

/// U(low, high) into `tensor` (float32, contiguous), from `seed` and `name` alone.
void draw_uniform(at::Tensor& tensor, float low, float high, std::uint64_t seed, std::string_view name);

/// 64-bit FNV-1a hash of a name: the identity under which its numbers are drawn.
std::uint64_t name_identity(std::string_view name);

}  // namespace langrun
