#include "core/langevin.h"

#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/torch.h"

#ifdef LANGRUN_HAVE_CUDA
#include "core/noise_cuda.h"
#endif

namespace langrun {
namespace {

// One update of every chain. Memory is channels-last, so a sample is one run of H*W*C floats and number i of its noise
// belongs to element i of that run, on every device.
void update(at::Tensor& x, const at::Tensor& gradient, const LangevinConfig& config, const ChainNoise& noise,
            std::int64_t step) {
  const auto samples = x.size(0), length = x.numel() / std::max<std::int64_t>(samples, 1);
  const auto gradient_weight = static_cast<float>(config.gradient_weight());
  const auto noise_weight = static_cast<float>(config.eta);
  const auto place = noise.first_step + static_cast<std::uint32_t>(step);
#ifdef LANGRUN_HAVE_CUDA
  if (x.is_cuda()) {
    langevin_update_on_device(noise.key, noise.identities, place, gradient_weight, noise_weight,
                              gradient.const_data_ptr<float>(), x.mutable_data_ptr<float>(), length);
    return;
  }
#endif
  float* values = x.mutable_data_ptr<float>();
  const float* slopes = gradient.const_data_ptr<float>();
  const auto n = static_cast<std::size_t>(length);
  at::parallel_for(0, samples, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b)
      langevin_update(noise.key, {noise.identities[static_cast<std::size_t>(b)], place}, gradient_weight, noise_weight,
                      {slopes + b * length, n}, {values + b * length, n});
  });
}

// Scales each sample's gradient so that (eta^2/2) ||grad U / T|| stays within max_norm.
at::Tensor clipped(const at::Tensor& gradient, const at::Tensor& magnitude, double max_norm) {
  const auto scale = (max_norm / magnitude.clamp_min(1e-30)).clamp_max(1.0);
  return gradient * scale.view({-1, 1, 1, 1});
}

}  // namespace

at::Tensor run_langevin(const GradientFunction& gradient, const at::Tensor& x, const LangevinConfig& config,
                        const ChainNoise& noise, LangevinRecord* record) {
  const torch::NoGradGuard constant;
  if (static_cast<std::int64_t>(noise.identities.size()) != x.size(0))
    throw Error(ExitCode::internal, "every chain needs an identity of its own for its noise");
  auto chains = torch::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast));
  chains.copy_(x);
  auto magnitude_sum = torch::zeros({x.size(0)}, x.options().memory_format(at::MemoryFormat::Contiguous));
  at::Tensor first_energy, last_energy;
  for (std::int64_t step = 0; step < config.steps; ++step) {
    auto [energy, slope] = gradient(chains);
    slope = slope.contiguous(at::MemoryFormat::ChannelsLast);
    if (record != nullptr || config.max_norm > 0) {
      const auto magnitude =
          torch::linalg_vector_norm(slope.permute({0, 2, 3, 1}).flatten(1), 2, {1}) * config.gradient_weight();
      magnitude_sum += magnitude;
      if (config.max_norm > 0)
        slope = clipped(slope, magnitude, config.max_norm).contiguous(at::MemoryFormat::ChannelsLast);
    }
    if (step == 0) first_energy = energy;
    last_energy = energy;
    update(chains, slope, config, noise, step);
  }
  if (record != nullptr && config.steps > 0)
    *record = {magnitude_sum / static_cast<double>(config.steps), first_energy, last_energy};
  return chains;
}

}  // namespace langrun
