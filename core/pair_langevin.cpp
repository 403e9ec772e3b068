#include "core/pair_langevin.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "core/error.h"
#include "core/sphere.h"
#include "core/torch.h"

#ifdef LANGRUN_HAVE_CUDA
#include <c10/cuda/CUDAStream.h>

#include "core/noise_cuda.h"
#endif

namespace langrun {
namespace {

/// How one of the two parts of a pair moves.
struct Move {
  NoiseKey key;
  double eta;
  double weight;    ///< of the slope: eta^2 / (2 T)
  double max_norm;  ///< 0: none
};

/// weight * ||slope|| of each sample [b]; with a limit, what the weights become. A sum over a sample's own numbers.
at::Tensor magnitudes(const at::Tensor& slope, const Move& move) {
  return slope.flatten(1).square().sum(1).sqrt() * move.weight;
}

// x [b, ...] and slope in one memory format, host memory.
void move_on_host(at::Tensor& x, const at::Tensor& slope, const at::Tensor& factors, const Move& move,
                  const PairNoise& noise, std::uint32_t step) {
  const auto n = static_cast<std::size_t>(x.numel() / x.size(0));
  float* values = x.mutable_data_ptr<float>();
  const float* slopes = slope.const_data_ptr<float>();
  const float* weights = factors.const_data_ptr<float>();
  at::parallel_for(0, x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const auto sample = static_cast<std::size_t>(b);
      langevin_update(move.key, {noise.identities[sample], step}, weights[b], static_cast<float>(move.eta),
                      {slopes + sample * n, n}, {values + sample * n, n});
    }
  });
}

#ifdef LANGRUN_HAVE_CUDA
void move_on_device(at::Tensor& x, const at::Tensor& slope, const at::Tensor& factors, const Move& move,
                    const PairNoise& noise, std::uint32_t step) {
  auto normal = at::empty_like(x);
  fill_normal_on_device(move.key, noise.identities, step, normal.mutable_data_ptr<float>(), x.numel() / x.size(0),
                        c10::cuda::getCurrentCUDAStream().stream());
  x = x - slope * factors.view({-1, 1, 1, 1}) + normal * move.eta;
}
#endif

/// Moves every sample and returns its magnitude [b].
at::Tensor move_samples(at::Tensor& x, const at::Tensor& slope, const Move& move, const PairNoise& noise,
                        std::uint32_t step) {
  const auto magnitude = magnitudes(slope, move);
  auto factors = at::full_like(magnitude, move.weight);
  if (move.max_norm > 0) factors = factors * (move.max_norm / magnitude).clamp_max(1);
#ifdef LANGRUN_HAVE_CUDA
  if (x.is_cuda()) {
    move_on_device(x, slope, factors, move, noise, step);
    return magnitude;
  }
#endif
  move_on_host(x, slope, factors.contiguous(), move, noise, step);
  return magnitude;
}

/// The chains of one call.
class PairChains {
 public:
  PairChains(const GradientFunction& energy, const ImageFunction& images, const Pairs& start, const PairConfig& config,
             const PairNoise& noise)
      : energy_(energy), images_(images), config_(config), noise_(noise),
        latents_(start.latents.to(torch::kCPU, torch::kFloat32).contiguous().clone()),
        residuals_(start.residuals.contiguous(at::MemoryFormat::ChannelsLast).clone()),
        latent_move_{noise.latent, config.latent_eta, weight(config.latent_eta), 0},
        residual_move_{noise.residual, config.residual_eta, weight(config.residual_eta), config.max_norm},
        latent_sum_(at::zeros({latents_.size(0)})),
        residual_sum_(at::zeros({latents_.size(0)}, residuals_.options().memory_format(std::nullopt))) {
    generate();
  }

  void step(std::uint32_t k) {
    if (config_.moves_latent) {
      latent_sum_ += move_latents(k);
      generate();
    }
    if (config_.moves_residual) residual_sum_ += move_residuals(k);
  }

  Pairs pairs() const { return {latents_, residuals_, generated_.detach()}; }

  PairRecord record() const {
    PairRecord record;
    const auto steps = static_cast<double>(config_.steps);
    if (config_.moves_latent) record.latent_magnitude = latent_sum_ / steps;
    if (config_.moves_residual) record.residual_magnitude = residual_sum_ / steps;
    record.first_energy = first_energy_;
    return record;
  }

 private:
  double weight(double eta) const { return eta * eta / (2 * config_.temperature); }

  /// G(Z), with the graph that the next move of the latents goes back through.
  void generate() {
    const at::AutoGradMode differentiated(config_.moves_latent);
    input_ = latents_.detach().to(residuals_.device()).clone().requires_grad_(config_.moves_latent);
    output_ = images_(input_);
    generated_ = output_.detach().contiguous(at::MemoryFormat::ChannelsLast);
  }

  at::Tensor slope_in_images() {
    const auto at = energy_(generated_ + residuals_);
    if (!first_energy_.defined()) first_energy_ = at.energy.clone();
    return at.gradient;
  }

  at::Tensor move_latents(std::uint32_t k) {
    auto slope = torch::autograd::grad({output_}, {input_}, {slope_in_images()})[0].to(torch::kCPU);
    // The weight divides all of the slope by T; the prior is not divided.
    if (config_.latent_prior) slope = slope + latents_ * config_.temperature;
    const auto magnitude = move_samples(latents_, slope.contiguous(), latent_move_, noise_, k);
    if (config_.on_sphere) latents_ = on_sphere(latents_);
    return magnitude;
  }

  at::Tensor move_residuals(std::uint32_t k) {
    auto slope = slope_in_images();
    if (config_.residual_tau > 0)
      slope = slope + residuals_ * (config_.temperature / (config_.residual_tau * config_.residual_tau));
    return move_samples(residuals_, slope.contiguous(at::MemoryFormat::ChannelsLast), residual_move_, noise_, k);
  }

  const GradientFunction& energy_;
  const ImageFunction& images_;
  const PairConfig& config_;
  const PairNoise& noise_;
  at::Tensor latents_;    // in host memory: they are short
  at::Tensor residuals_;  // where the networks are
  const Move latent_move_, residual_move_;
  at::Tensor latent_sum_, residual_sum_;
  at::Tensor first_energy_;
  at::Tensor input_, output_, generated_;
};

}  // namespace

at::Tensor Pairs::images() const { return generated + residuals; }

Pairs run_pairs(const GradientFunction& energy, const ImageFunction& images, const Pairs& start,
                const PairConfig& config, const PairNoise& noise, PairRecord* record) {
  if (std::ssize(noise.identities) != start.latents.size(0))
    throw Error(ExitCode::internal, "every pair needs an identity of its own for its noise");
  const torch::NoGradGuard constant;
  PairChains chains(energy, images, start, config, noise);
  for (std::int64_t k = 0; k < config.steps; ++k) chains.step(noise.first_step + static_cast<std::uint32_t>(k));
  if (record != nullptr && config.steps > 0) *record = chains.record();
  return chains.pairs();
}

}  // namespace langrun
