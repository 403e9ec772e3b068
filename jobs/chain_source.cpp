#include "jobs/chain_source.h"

#include "core/torch.h"
#include "jobs/chain_starts.h"

namespace langrun {

void ChainSource::renew(FreshChains& chains, const at::Tensor& anew, const std::vector<std::uint64_t>& slots,
                        std::int64_t step, NoiseKey key) {
  const auto made = fresh(slots, step, key);
  chains.images = torch::where(anew.view({-1, 1, 1, 1}), made.images.to(torch::kCPU), chains.images);
  if (latent_length() > 0)
    chains.latents = torch::where(anew.view({-1, 1}), made.latents.to(torch::kCPU), chains.latents);
}

FreshChains UniformSource::fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) {
  return {uniform_images(image_, slots, step, key), torch::empty({std::ssize(slots), 0})};
}

FreshChains DataSource::fresh(const std::vector<std::uint64_t>& slots, std::int64_t step, NoiseKey key) {
  return {data_images(data_, slots, step, key), torch::empty({std::ssize(slots), 0})};
}

}  // namespace langrun
