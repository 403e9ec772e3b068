#include "core/networks/energy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/nearest.h"
#include "core/networks/energies.h"
#include "core/networks/initialise.h"

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

std::vector<std::string> energy_names() { return {"light", "sngan32", "sngan64", "sngan128"}; }

std::shared_ptr<Energy> make_energy(const EnergyConfig& config, std::uint64_t seed) {
  if (config.width < 0)
    throw Error(ExitCode::usage, fmt::format("energy of width {}: expected at least 1, or 0 for the paper's", config.width));
  std::shared_ptr<Energy> energy;
  if (config.network == "light") {
    energy = std::make_shared<LightEnergy>(config.width);
    initialise(*energy, WeightLaw::torch_default, seed, "energy");
    return energy;
  }
  if (config.network == "sngan32") energy = make_sngan_energy(32, config.width);
  if (config.network == "sngan64") energy = make_sngan_energy(64, config.width);
  if (config.network == "sngan128") energy = make_sngan_energy(128, config.width);
  if (!energy) {
    const auto close = nearest(config.network, energy_names());
    throw Error(ExitCode::usage,
                fmt::format("unknown energy '{}': expected {}", config.network, fmt::join(energy_names(), ", ")),
                close.empty() ? "" : fmt::format("did you mean {}?", close));
  }
  initialise(*energy, WeightLaw::glorot, seed, "energy");
  return energy;
}

}  // namespace langrun
