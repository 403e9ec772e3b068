#include "core/networks/initialise.h"

#include <cmath>

#include "core/noise.h"
#include "core/torch.h"

namespace langrun {
namespace {

struct Fans {
  double in, out;
};

Fans fans(const at::Tensor& kernel) {
  const double field = kernel.dim() > 2 ? static_cast<double>(kernel[0][0].numel()) : 1.0;
  return {static_cast<double>(kernel.size(1)) * field, static_cast<double>(kernel.size(0)) * field};
}

/// Classifiers draw their last layer as PyTorch does, whatever their convolutions do.
WeightLaw law_of_linears(WeightLaw law) {
  return law == WeightLaw::glorot ? WeightLaw::glorot : WeightLaw::torch_default;
}

/// Half the width of a uniform law.
float bound(WeightLaw law, const Fans& fan) {
  const double gain = law == WeightLaw::glorot_relu ? std::sqrt(2.0) : 1;
  const double glorot = gain * std::sqrt(6 / (fan.in + fan.out));
  return static_cast<float>(law == WeightLaw::torch_default ? 1 / std::sqrt(fan.in) : glorot);
}

void draw_normal(at::Tensor& tensor, double deviation, std::uint64_t seed, std::string_view name) {
  auto values = at::empty(tensor.sizes(), at::kFloat);
  const std::span<float> out(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  fill_normal(noise_key(seed, Stream::weights), {name_identity(name), 0}, out);
  tensor.copy_(values.mul_(deviation));
}

/// "stem.conv1.weight" to {"stem.conv1", "weight"}; a name without a dot has an empty first part.
std::pair<std::string, std::string> split_name(const std::string& name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

}  // namespace

std::uint64_t name_identity(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  return hash;
}

void draw_uniform(at::Tensor& tensor, float low, float high, std::uint64_t seed, std::string_view name) {
  at::NoGradGuard no_grad;
  auto values = at::empty(tensor.sizes(), at::kFloat);
  const std::span<float> out(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  fill_uniform(noise_key(seed, Stream::weights), {name_identity(name), 0}, out);
  for (auto& value : out) value = low + (high - low) * value;
  tensor.copy_(values);
}

void initialise(torch::nn::Module& module, WeightLaw law, std::uint64_t seed, std::string_view role) {
  at::NoGradGuard no_grad;
  const auto parameters = module.named_parameters();
  for (const auto& item : parameters) {
    const auto [layer, kind] = split_name(item.key());
    const bool is_bias = kind == "bias";
    if (!is_bias && kind != "weight") continue;
    auto tensor = item.value();
    const auto* kernel = parameters.find(layer.empty() ? "weight" : layer + ".weight");
    if (!kernel || kernel->dim() < 2) {
      tensor.fill_(is_bias ? 0 : 1);
      continue;
    }
    const auto name = std::string(role) + "." + item.key();
    const auto own = kernel->dim() == 2 ? law_of_linears(law) : law;
    if (is_bias && own != WeightLaw::torch_default)
      tensor.zero_();
    else if (own == WeightLaw::kaiming)
      draw_normal(tensor, std::sqrt(2 / fans(*kernel).in), seed, name);
    else
      draw_uniform(tensor, -bound(own, fans(*kernel)), bound(own, fans(*kernel)), seed, name);
  }
}

}  // namespace langrun
