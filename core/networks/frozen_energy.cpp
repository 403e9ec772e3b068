#include "core/networks/frozen_energy.h"

#include <fmt/format.h>

#include <optional>

#include "core/error.h"
#include "core/networks/frozen_network.h"
#include "core/tiles/engine.h"
#include "core/torch.h"

namespace langrun {
namespace {

/// Networks without a written-out backward pass.
class FrozenByAutograd : public FrozenNetwork {
 public:
  FrozenByAutograd(EnergyConfig config, const FrozenPlace& place) : place_(place) {
    // Spectral normalisation is part of the copied weights (refresh), not of the replica.
    config.spectral_norm = false;
    replica_ = make_energy(config, 0);
    replica_->to(place.device, place.type);
    for (auto& parameter : replica_->parameters()) {
      parameter.requires_grad_(false);
      // cuDNN would turn kernels of another layout around at every call.
      if (place.device.is_cuda() && parameter.dim() == 4)
        parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
    }
  }

  void refresh(const Energy& source) override {
    const auto from = source.parameters();
    auto to = replica_->parameters();
    for (std::size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
    const auto sources = source.modules(), replicas = replica_->modules();
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (const auto* conv = sources[i]->as<Conv>()) replicas[i]->as<Conv>()->weight.copy_(conv->effective_weight());
      if (const auto* linear = sources[i]->as<Linear>())
        replicas[i]->as<Linear>()->weight.copy_(linear->effective_weight());
    }
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    const at::AutoGradMode grad(true);
    const auto image = x.detach().requires_grad_();
    const auto u = replica_->energy(image.to(place_.type));
    auto gradient = torch::autograd::grad({u}, {image}, {torch::ones_like(u)})[0];
    return {u.detach().to(at::kFloat), std::move(gradient)};
  }

 private:
  FrozenPlace place_;
  std::shared_ptr<Energy> replica_;
};

/// Somebody else's: what it computes with is its own.
class FrozenAsItIs : public FrozenNetwork {
 public:
  explicit FrozenAsItIs(std::shared_ptr<Energy> energy) : energy_(std::move(energy)) {}
  void refresh(const Energy&) override {}
  EnergyGradient energy_and_gradient(const at::Tensor& x) override { return energy_->energy_and_gradient(x); }

 private:
  std::shared_ptr<Energy> energy_;
};

at::ScalarType scalar_type(const std::string& precision, const at::Device& device) {
  if (precision == "fp32") return at::kFloat;
  if (precision == "tf32") {
    if (device.is_cpu())
      throw Error(ExitCode::usage, "precision tf32: TensorFloat-32 is a format of GPUs, and this is a processor",
                  "use --precision fp32 or bf16");
    return at::kFloat;
  }
  if (precision != "bf16")
    throw Error(ExitCode::usage, fmt::format("precision '{}': expected fp32, tf32 or bf16", precision));
  if (device.is_cpu() && !processor_has_bf16())
    throw Error(ExitCode::usage, "precision bf16: this processor has neither AVX512_BF16 nor AMX",
                "use --precision fp32");
  return at::kBFloat16;
}

/// TensorFloat-32 products while it lives. The library knows it for the whole program alone, and the updates' products
/// are to stay exact: so it is switched where a chain's kernels are chosen.
class TensorFloatProducts {
 public:
  TensorFloatProducts()
      : convolutions_(at::globalContext().allowTF32CuDNN()), products_(at::globalContext().allowTF32CuBLAS()) {
    set(true, true);
  }
  ~TensorFloatProducts() { set(convolutions_, products_); }
  TensorFloatProducts(const TensorFloatProducts&) = delete;
  TensorFloatProducts& operator=(const TensorFloatProducts&) = delete;

 private:
  static void set(bool convolutions, bool products) {
    at::globalContext().setAllowTF32CuDNN(convolutions);
    at::globalContext().setAllowTF32CuBLAS(products);
  }
  bool convolutions_, products_;
};

ImageShape input_of(const EnergyConfig& config) {
  auto narrow = config;
  narrow.width = 16;  // every network can have it, and the size does not depend on it
  return make_energy(narrow, 0)->input();
}

}  // namespace

bool processor_has_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

FrozenEnergy::FrozenEnergy(const EnergyConfig& config, const std::string& precision, const at::Device& device)
    : image_(input_of(config)), tensor_float_(precision == "tf32") {
  const FrozenPlace place{scalar_type(precision, device), device};
  const bool tiled = device.is_cpu() && (place.type == at::kFloat ? tiles::kernels<float>() != nullptr
                                                                  : tiles::kernels<tiles::Bf16>() != nullptr);
  const auto& name = config.network;
  if (name == "light")
    network_ = tiled ? tile_light(place.type) : freeze_light(place);
  else if (name.starts_with("sngan"))
    network_ = tiled ? tile_sngan(place.type) : freeze_sngan(place);
  else if (name == "mlp2d")
    network_ = tiled ? tile_mlp(place.type) : freeze_by_autograd(config, place);
  else
    network_ = tiled ? tile_biggan(place.type) : freeze_by_autograd(config, place);
}

FrozenEnergy::FrozenEnergy(std::shared_ptr<Energy> energy)
    : image_(energy->input()), network_(std::make_unique<FrozenAsItIs>(std::move(energy))) {}

FrozenEnergy::~FrozenEnergy() = default;
FrozenEnergy::FrozenEnergy(FrozenEnergy&&) noexcept = default;
FrozenEnergy& FrozenEnergy::operator=(FrozenEnergy&&) noexcept = default;

void FrozenEnergy::refresh(const Energy& source) {
  at::NoGradGuard no_grad;
  network_->refresh(source);
}

EnergyGradient FrozenEnergy::energy_and_gradient(const at::Tensor& x) {
  check_images(x, image_);
  at::NoGradGuard no_grad;
  std::optional<TensorFloatProducts> tensor_float;
  if (tensor_float_) tensor_float.emplace();
  // `detach` makes a new tensor even where there is nothing to detach, and a step allocates nothing.
  auto result =
      network_->energy_and_gradient((x.requires_grad() ? x.detach() : x).contiguous(at::MemoryFormat::ChannelsLast));
  result.gradient = result.gradient.contiguous(at::MemoryFormat::ChannelsLast);
  return result;
}

std::unique_ptr<FrozenNetwork> freeze_by_autograd(const EnergyConfig& config, const FrozenPlace& place) {
  return std::make_unique<FrozenByAutograd>(config, place);
}

}  // namespace langrun
