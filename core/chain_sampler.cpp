#include "core/chain_sampler.h"

#include "core/torch.h"

#ifdef LANGRUN_HAVE_CUDA
#include "core/device_chain.h"
#endif

namespace langrun {

#ifndef LANGRUN_HAVE_CUDA
class DeviceChain {};  // none are ever made
#endif

ChainSampler::ChainSampler(const EnergyConfig& energy, const std::string& precision, const at::Device& device,
                           std::size_t at_once)
    : energy_(energy, precision, device), device_(device), at_once_(at_once) {}

ChainSampler::~ChainSampler() = default;

void ChainSampler::refresh(const Energy& source) { energy_.refresh(source); }

SampledChains ChainSampler::start(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise) {
#ifdef LANGRUN_HAVE_CUDA
  if (device_.is_cuda()) return next_chain(x.sizes()).start(x, config, noise);
#endif
  SampledChains sampled;
  sampled.chains = run_langevin([this](const at::Tensor& images) { return energy_.energy_and_gradient(images); }, x,
                                config, noise, &sampled.record);
  sampled.host = sampled.chains;
  return sampled;
}

void ChainSampler::finish() {
#ifdef LANGRUN_HAVE_CUDA
  for (const auto& chain : chains_) chain->finish();
#endif
}

at::Tensor ChainSampler::run(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise) {
  const auto sampled = start(x, config, noise);
  finish();
  return sampled.chains;
}

#ifdef LANGRUN_HAVE_CUDA
// Calls take the chains in turn; one of another shape is made anew (its destructor waits for what it had begun).
DeviceChain& ChainSampler::next_chain(at::IntArrayRef shape) {
  if (chains_.size() < at_once_) chains_.emplace_back();
  auto& chain = chains_[next_++ % at_once_];
  if (!chain || !chain->shape().equals(shape))
    chain = std::make_unique<DeviceChain>(
        [this](const at::Tensor& images) { return energy_.energy_and_gradient(images); }, shape, device_);
  return *chain;
}
#endif

}  // namespace langrun
