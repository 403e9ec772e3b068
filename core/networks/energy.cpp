#include "core/networks/energy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/nearest.h"
#include "core/networks/biggan.h"
#include "core/networks/energies.h"
#include "core/networks/initialise.h"
#include "core/torch.h"

namespace langrun {

EnergyGradient Energy::energy_and_gradient(const at::Tensor& x) {
  const ConstantWeights constant(*this);
  at::AutoGradMode grad(true);
  const auto image = x.detach().requires_grad_();
  const auto u = energy(image);
  auto gradient = torch::autograd::grad({u}, {image}, {torch::ones_like(u)})[0];
  return {u.detach(), gradient.contiguous(x.suggest_memory_format())};
}

void check_images(const at::Tensor& x, const ImageShape& shape) {
  if (x.dim() == 4 && x.size(1) == shape.channels && x.size(2) == shape.height && x.size(3) == shape.width) return;
  throw Error(ExitCode::input,
              fmt::format("images of shape [{}], the energy takes [B, {}, {}, {}]", fmt::join(x.sizes(), ", "),
                          shape.channels, shape.height, shape.width),
              "choose the energy for the images' size (energy.network), or import the images at its size");
}

ConstantWeights::ConstantWeights(torch::nn::Module& module) {
  for (auto& parameter : module.parameters()) {
    if (!parameter.requires_grad()) continue;
    parameter.requires_grad_(false);
    held_.push_back(parameter);
  }
}

ConstantWeights::~ConstantWeights() {
  for (auto& parameter : held_) parameter.requires_grad_(true);
}

namespace {

struct Builtin {
  const char* name;
  std::shared_ptr<Energy> (*make)(const EnergyConfig& config, std::uint64_t seed);
};

template <std::int64_t size>
std::shared_ptr<Energy> sngan(const EnergyConfig& config, std::uint64_t) {
  return make_sngan_energy(size, config.width);
}

template <std::int64_t size>
std::shared_ptr<Energy> biggan(const EnergyConfig& config, std::uint64_t seed) {
  return make_biggan_energy(size, config, seed);
}

std::shared_ptr<Energy> light(const EnergyConfig& config, std::uint64_t) {
  return std::make_shared<LightEnergy>(config.width);
}

std::shared_ptr<Energy> mlp2d(const EnergyConfig& config, std::uint64_t) {
  return std::make_shared<MlpEnergy>(config.width);
}

constexpr Builtin kBuiltins[] = {{"light", light},           {"sngan32", sngan<32>},   {"sngan64", sngan<64>},
                                 {"sngan128", sngan<128>},   {"biggan64", biggan<64>}, {"biggan128", biggan<128>},
                                 {"biggan224", biggan<224>}, {"mlp2d", mlp2d}};

const Builtin& builtin(const std::string& name) {
  for (const auto& known : kBuiltins)
    if (name == known.name) return known;
  const auto close = nearest(name, energy_names());
  throw Error(ExitCode::usage, fmt::format("unknown energy '{}': expected {}", name, fmt::join(energy_names(), ", ")),
              close.empty() ? "" : fmt::format("did you mean {}?", close));
}

}  // namespace

std::vector<std::string> energy_names() {
  std::vector<std::string> names;
  for (const auto& known : kBuiltins) names.emplace_back(known.name);
  return names;
}

std::shared_ptr<Energy> make_energy(const EnergyConfig& config, std::uint64_t seed) {
  const auto& known = builtin(config.network);
  if (config.width < 0)
    throw Error(ExitCode::usage,
                fmt::format("energy of width {}: expected at least 1, or 0 for the paper's", config.width));
  if (config.spectral_norm && !config.network.starts_with("biggan"))
    throw Error(ExitCode::usage,
                fmt::format("spectral normalisation of {}: only biggan energies have it", config.network),
                "leave the option out");
  auto energy = known.make(config, seed);
  const bool as_torch = config.network == "light" || config.network == "mlp2d";
  const auto law = as_torch ? WeightLaw::torch_default : WeightLaw::glorot;
  initialise(*energy, law, seed, "energy");
  return energy;
}

}  // namespace langrun
