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
  const ChainNoise& noise;
  std::uint32_t done;  ///< steps of this call so far
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
      const auto sample = static_cast<std::size_t>(b);
      const auto place = step.noise.first_of(sample) + step.done;
      if (place >= step.noise.end_step) continue;
      const float* slope = slopes + b * length;
      float weight = step.gradient_weight;
      if (step.wants_norms) {
        const float magnitude = std::sqrt(tiles::squared_norm(slope, n)) * step.gradient_weight;
        sums[b] += magnitude;
        if (step.max_norm > 0 && magnitude > step.max_norm) weight *= step.max_norm / magnitude;
      }
      langevin_update(step.noise.key, {step.noise.identities[sample], place}, weight, step.noise_weight, {slope, n},
                      {values + b * length, n});
    }
  });
}

// The energies of samples that still move: copies, since the tensors may be the gradient's own and written over at the
// next step.
void keep_last(at::Tensor& kept, const at::Tensor& energy, const ChainNoise& noise, std::int64_t done) {
  const auto now = energy.contiguous();
  const float* from = now.const_data_ptr<float>();
  float* to = kept.mutable_data_ptr<float>();
  for (std::int64_t b = 0; b < kept.size(0); ++b)
    if (noise.first_of(static_cast<std::size_t>(b)) + static_cast<std::uint32_t>(done) < noise.end_step) to[b] = from[b];
}

void check_noise(const ChainNoise& noise, std::int64_t samples) {
  const auto count = static_cast<std::size_t>(samples);
  if (noise.identities.size() != count || (!noise.first_steps.empty() && noise.first_steps.size() != count))
    throw Error(ExitCode::internal, "every chain needs an identity of its own for its noise");
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
  check_noise(noise, x.size(0));
  auto chains = torch::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast));
  chains.copy_(x);
  auto magnitude_sum = torch::zeros({x.size(0)}, x.options().memory_format(at::MemoryFormat::Contiguous));
  auto first_energy = torch::empty_like(magnitude_sum), last_energy = torch::zeros_like(magnitude_sum);
  Step step{noise,
            0,
            static_cast<float>(config.gradient_weight()),
            static_cast<float>(config.eta),
            static_cast<float>(config.max_norm),
            record != nullptr || config.max_norm > 0};
  for (std::int64_t k = 0; k < config.steps; ++k, ++step.done) {
    const auto [energy, slope] = gradient(chains);
    if (k == 0) first_energy.copy_(energy);
    keep_last(last_energy, energy, noise, k);
    const auto along = slope.contiguous(at::MemoryFormat::ChannelsLast);
    move_chains(chains, along, step, magnitude_sum);
  }
  if (record != nullptr && config.steps > 0)
    *record = {magnitude_sum / static_cast<double>(config.steps), first_energy, last_energy};
  return chains;
}

}  // namespace langrun
