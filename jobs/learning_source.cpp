#include "jobs/learning_source.h"

#include "core/torch.h"
#include "jobs/chain_starts.h"

namespace langrun {

FreshChains LearningSource::fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) {
  const auto latents = fresh_latents(slots, step, key, latent_length());
  return {generator_.images(latents), latents};
}

void LearningSource::renew(FreshChains& chains, const at::Tensor& anew, const std::vector<std::uint64_t>& slots,
                           std::int64_t step, NoiseKey key) {
  const auto latents = fresh_latents(slots, step, key, latent_length());
  chains.latents = torch::where(anew.view({-1, 1}), latents, chains.latents);
  const auto images = generator_.images(chains.latents).to(torch::kCPU);
  chains.images = torch::where(anew.view({-1, 1, 1, 1}), images, chains.images);
}

}  // namespace langrun
