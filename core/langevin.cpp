#include "core/langevin.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "core/error.h"
#include "core/tiles/engine.h"
#include "core/torch.h"

#ifdef LANGRUN_HAVE_CUDA
#include "core/device_chain.h"
#endif

namespace langrun {
namespace {

/// What one step does to the chains, beside the gradient.
struct Step {
  NoiseKey key;
  const std::vector<std::uint64_t>& identities;
  std::uint32_t place;  ///< step number of the noise
  float gradient_weight, noise_weight;
  float max_norm;    ///< of eta^2/(2T) ||grad U||; 0: no limit
  bool wants_norms;  ///< whether the sums of magnitudes are asked for
};

// One update of every chain. Memory is channels-last, so a sample is one run of H*W*C floats and number i of its noise
// belongs to element i of that run, on every device (on GPUs: chain_kernels.h). Allocates nothing.
void move_chains(at::Tensor& x, const at::Tensor& gradient, const Step& step, at::Tensor& magnitude_sum) {
  const auto samples = x.size(0), length = x.numel() / std::max<std::int64_t>(samples, 1);
  float* values = x.mutable_data_ptr<float>();
  float* sums = magnitude_sum.mutable_data_ptr<float>();
  const float* slopes = gradient.const_data_ptr<float>();
  const auto n = static_cast<std::size_t>(length);
  at::parallel_for(0, samples, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const float* slope = slopes + b * length;
      float weight = step.gradient_weight;
      if (step.wants_norms) {
        const float magnitude = std::sqrt(tiles::squared_norm(slope, n)) * step.gradient_weight;
        sums[b] += magnitude;
        if (step.max_norm > 0 && magnitude > step.max_norm) weight *= step.max_norm / magnitude;
      }
      langevin_update(step.key, {step.identities[static_cast<std::size_t>(b)], step.place}, weight, step.noise_weight,
                      {slope, n}, {values + b * length, n});
    }
  });
}

}  // namespace

at::Tensor run_langevin(const GradientFunction& gradient, const at::Tensor& x, const LangevinConfig& config,
                        const ChainNoise& noise, LangevinRecord* record) {
  const torch::NoGradGuard constant;
#ifdef LANGRUN_HAVE_CUDA
  if (x.is_cuda()) {
    DeviceChain on_device(gradient, x.sizes(), x.device(), StepQueue::kernels);
    const auto sampled = on_device.start(x, config, noise);
    on_device.finish();
    if (record != nullptr && config.steps > 0) *record = sampled.record;
    return sampled.chains;
  }
#endif
  if (static_cast<std::int64_t>(noise.identities.size()) != x.size(0))
    throw Error(ExitCode::internal, "every chain needs an identity of its own for its noise");
  auto chains = torch::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast));
  chains.copy_(x);
  auto magnitude_sum = torch::zeros({x.size(0)}, x.options().memory_format(at::MemoryFormat::Contiguous));
  auto first_energy = torch::empty_like(magnitude_sum), last_energy = torch::empty_like(magnitude_sum);
  Step step{noise.key,
            noise.identities,
            noise.first_step,
            static_cast<float>(config.gradient_weight()),
            static_cast<float>(config.eta),
            static_cast<float>(config.max_norm),
            record != nullptr || config.max_norm > 0};
  for (std::int64_t k = 0; k < config.steps; ++k, ++step.place) {
    const auto [energy, slope] = gradient(chains);
    // Copies, since the tensors may be the gradient's own and written over at the next step.
    if (k == 0) first_energy.copy_(energy);
    if (k + 1 == config.steps) last_energy.copy_(energy);
    const auto along = slope.contiguous(at::MemoryFormat::ChannelsLast);
    move_chains(chains, along, step, magnitude_sum);
  }
  if (record != nullptr && config.steps > 0)
    *record = {magnitude_sum / static_cast<double>(config.steps), first_energy, last_energy};
  return chains;
}

}  // namespace langrun
