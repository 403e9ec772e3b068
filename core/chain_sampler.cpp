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

ChainSampler::ChainSampler(std::shared_ptr<Energy> energy)
    : energy_(std::move(energy)), device_(torch::kCPU), at_once_(1) {}

ChainSampler::~ChainSampler() = default;

void ChainSampler::add_terms(SamplingTerms terms, double temperature) {
#ifdef LANGRUN_HAVE_CUDA
  chains_.clear();  // their captured steps read the memory of the terms before
#endif
  terms_ = std::move(terms);
  prior_share_ = temperature / terms_.prior_temperature;
  gaussian_factor_ = torch::zeros({}, torch::TensorOptions(device_));
  gaussian_share_ = 0;
  set_temperature(temperature);
}

void ChainSampler::set_temperature(double temperature) {
  if (terms_.tau <= 0) return;
  const double share = temperature / (terms_.tau * terms_.tau);
  if (share != gaussian_share_) gaussian_factor_.fill_(share);
  gaussian_share_ = share;
}

// Products are rounded before they are added: a fused add would be rounded one way in a vector's lanes and another in
// the elements that are left over, and a sample's bits would depend on its place.
EnergyGradient ChainSampler::gradient(const at::Tensor& images) {
  auto sum = energy_.energy_and_gradient(images);
  if (terms_.prior) sum.gradient.add_(terms_.prior->energy_and_gradient(images).gradient.mul_(prior_share_));
  if (terms_.tau > 0) sum.gradient.add_(scaled(images));
  return sum;
}

// On a GPU several calls run side by side, each captured with memory of its own; on a CPU one place serves all.
at::Tensor ChainSampler::scaled(const at::Tensor& images) {
  if (images.is_cuda()) return images * gaussian_factor_;
  if (!scaled_.defined() || !scaled_.sizes().equals(images.sizes()))
    scaled_ = at::empty(images.sizes(), images.options().memory_format(at::MemoryFormat::ChannelsLast));
  return at::mul_out(scaled_, images, gaussian_factor_);
}

void ChainSampler::refresh(const Energy& source) { energy_.refresh(source); }

SampledChains ChainSampler::start(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise) {
  set_temperature(config.temperature);
#ifdef LANGRUN_HAVE_CUDA
  if (device_.is_cuda()) return next_chain(x.sizes()).start(x, config, noise);
#endif
  SampledChains sampled;
  sampled.chains =
      run_langevin([this](const at::Tensor& images) { return gradient(images); }, x, config, noise, &sampled.record);
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
    chain =
        std::make_unique<DeviceChain>([this](const at::Tensor& images) { return gradient(images); }, shape, device_);
  return *chain;
}
#endif

}  // namespace langrun
