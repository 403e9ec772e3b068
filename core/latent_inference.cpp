#include "core/latent_inference.h"

#include "core/networks/energy.h"
#include "core/torch.h"

namespace langrun {

at::Tensor infer_latents(Generator& generator, const at::Tensor& latents, const at::Tensor& images,
                         const InferenceConfig& config, BatchNormUse use, NoiseKey key,
                         const std::vector<std::uint64_t>& identities) {
  const torch::AutoGradMode differentiated(true);
  const ConstantWeights held(generator);
  const double weight = 1 / (2 * config.sigma * config.sigma);
  const auto length = static_cast<std::size_t>(latents.size(1));
  // Latents are short: they are moved on the host, whichever device the generator is on.
  auto z = latents.detach().to(torch::kCPU).contiguous().clone();
  for (std::int64_t k = 0; k < config.steps; ++k) {
    const auto at = z.to(latents.device()).requires_grad_();
    const auto loss = at.square().sum() / 2 + (generator.generate(at, use) - images.detach()).square().sum() * weight;
    const auto slope = torch::autograd::grad({loss}, {at})[0].to(torch::kCPU).contiguous();
    for (std::size_t i = 0; i < identities.size(); ++i)
      langevin_update(key, {identities[i], static_cast<std::uint32_t>(k)},
                      static_cast<float>(config.eta * config.eta / 2), static_cast<float>(config.eta),
                      {slope.const_data_ptr<float>() + i * length, length},
                      {z.mutable_data_ptr<float>() + i * length, length});
  }
  return z.to(latents.device());
}

}  // namespace langrun
