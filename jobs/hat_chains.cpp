#include "jobs/hat_chains.h"

#include "core/sphere.h"
#include "core/torch.h"
#include "jobs/chain_starts.h"

namespace langrun {
namespace {

at::Tensor start_residuals(const at::Tensor& generated, double deviation, const std::vector<std::uint64_t>& places,
                           NoiseKey key) {
  auto residuals = torch::zeros(generated.sizes());
  if (deviation <= 0) return residuals.to(generated.device());
  const auto length = static_cast<std::size_t>(residuals.numel()) / places.size();
  for (std::size_t i = 0; i < places.size(); ++i)
    fill_normal(key, {places[i], 0}, {residuals.mutable_data_ptr<float>() + i * length, length});
  return (residuals * deviation).to(generated.device());
}

}  // namespace

at::Tensor hat_latents(const HatChainConfig& config, const std::vector<std::uint64_t>& places, std::int64_t step,
                       NoiseKey key, std::int64_t length) {
  const auto latents = fresh_latents(places, step, key, length);
  return config.sphere ? on_sphere(latents) : latents;
}

Pairs begin_pairs(const HatChainConfig& config, const at::Tensor& latents, const ImageFunction& images,
                  const std::vector<std::uint64_t>& places, NoiseKey key) {
  const torch::NoGradGuard constant;
  const auto generated = images(latents);
  return {latents, start_residuals(generated, config.residual_start, places, key), generated};
}

Pairs walk_pairs(ChainSampler& sampler, const ImageFunction& images, const Pairs& from, const HatChainConfig& config,
                 std::int64_t steps, const PairNoise& noise, PairRecord* record) {
  auto pair = config.pair;
  pair.steps = steps;
  if (!config.plain())
    return run_pairs([&sampler](const at::Tensor& x) { return sampler.gradient(x); }, images, from, pair, noise,
                     record);
  const LangevinConfig langevin{steps, pair.residual_eta, pair.temperature, pair.max_norm};
  const auto sampled = sampler.start(from.images(), langevin, {noise.residual, noise.identities, noise.first_step});
  sampler.finish();
  if (record != nullptr) *record = {sampled.record.gradient_magnitude, {}, sampled.record.first_energy};
  return {from.latents, sampled.chains - from.generated, from.generated};
}

at::Tensor residual_size(const at::Tensor& residuals) { return residuals.flatten(1).square().mean(1).sqrt(); }

}  // namespace langrun
