#include "core/lyapunov.h"

#include <fmt/format.h>

#include <cmath>

#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

/// Step number of the noise that separations begin along: no chain goes so far.
constexpr std::uint32_t kDirection = 0xffffffff;

double distance(const float* x, const float* y, std::int64_t length) {
  double sum = 0;
  for (std::int64_t i = 0; i < length; ++i) {
    const double apart = static_cast<double>(y[i]) - static_cast<double>(x[i]);
    sum += apart * apart;
  }
  return std::sqrt(sum);
}

/// Chains and their companions on one batch: rows [0, B) the chains, rows [(1 + d) B, (2 + d) B) those apart by delta
/// d.
class Trajectories {
 public:
  Trajectories(const at::Tensor& x, const LyapunovConfig& config, const ChainNoise& noise)
      : deltas_(config.deltas), device_(x.device()), chains_(x.size(0)), first_(config.first),
        length_(x.numel() / x.size(0)), noise_(noise) {
    const auto host = x.to(torch::kCPU).contiguous(at::MemoryFormat::ChannelsLast);
    std::vector<at::Tensor> all(1 + deltas_.size(), host);
    all_ = torch::cat(all).contiguous(at::MemoryFormat::ChannelsLast);
    noise_.identities.clear();
    for (std::size_t copy = 0; copy <= deltas_.size(); ++copy)
      noise_.identities.insert(noise_.identities.end(), noise.identities.begin(), noise.identities.end());
    before_.resize(deltas_.size() * static_cast<std::size_t>(chains_));
    std::vector<float> direction(static_cast<std::size_t>(length_));
    for (std::int64_t b = 0; b < chains_; ++b) {
      fill_normal(noise.key, {noise.identities[static_cast<std::size_t>(b)], kDirection}, direction);
      double squares = 0;
      for (const auto value : direction) squares += static_cast<double>(value) * value;
      for (std::size_t d = 0; d < deltas_.size(); ++d) {
        const double scale = deltas_[d] / std::sqrt(squares);
        auto* y = companion(d, b);
        for (std::int64_t i = 0; i < length_; ++i)
          y[i] = static_cast<float>(y[i] + scale * direction[static_cast<std::size_t>(i)]);
        before(d, b) = distance(chain(b), y, length_);
      }
    }
  }

  void walk(const LangevinWalk& walk, const LangevinConfig& config) {
    all_ = walk(all_.to(device_), config, noise_).to(torch::kCPU).contiguous(at::MemoryFormat::ChannelsLast);
    ++noise_.first_step;
  }

  /// log growth of the last step; the separation goes back to its length.
  double renormalise(std::size_t d, std::int64_t b) {
    const auto* x = chain(b);
    auto* y = companion(d, b);
    const double after = distance(x, y, length_), growth = std::log(after / before(d, b));
    if (!std::isfinite(growth))
      throw Error(ExitCode::diverged,
                  fmt::format("chain {} and its companion at {} are {} apart after {} steps", first_ + b, deltas_[d],
                              after, noise_.first_step),
                  after == 0 ? "use a larger separation: float32 no longer tells them apart"
                             : "use a smaller step or other starts");
    for (std::int64_t i = 0; i < length_; ++i)
      y[i] = static_cast<float>(x[i] + (static_cast<double>(y[i]) - x[i]) * (deltas_[d] / after));
    // What float32 made of it, not delta itself: rounding must not count as growth.
    before(d, b) = distance(x, y, length_);
    return growth;
  }

  std::int64_t chains() const { return chains_; }

 private:
  float* chain(std::int64_t b) { return all_.mutable_data_ptr<float>() + b * length_; }
  float* companion(std::size_t d, std::int64_t b) { return chain((1 + static_cast<std::int64_t>(d)) * chains_ + b); }
  double& before(std::size_t d, std::int64_t b) {
    return before_[d * static_cast<std::size_t>(chains_) + static_cast<std::size_t>(b)];
  }

  const std::vector<double>& deltas_;
  at::Device device_;
  std::int64_t chains_, first_, length_;
  ChainNoise noise_;
  at::Tensor all_;  // in host memory
  std::vector<double> before_;
};

}  // namespace

std::vector<double> lyapunov_exponents(const LangevinWalk& walk, const at::Tensor& x, const LyapunovConfig& config,
                                       const ChainNoise& noise) {
  const torch::NoGradGuard constant;
  // One step of the sampler whose noise is eta tau, at the temperature that leaves the gradient its weight.
  LangevinConfig step;
  step.steps = 1;
  step.eta = config.eta * config.step_size;
  step.temperature = config.temperature * config.eta * config.eta;
  Trajectories trajectories(x, config, noise);
  const auto pairs = config.deltas.size();
  std::vector<double> sums(static_cast<std::size_t>(trajectories.chains()) * pairs);
  for (std::int64_t k = 0; k < config.burn_in + config.steps; ++k) {
    trajectories.walk(walk, step);
    for (std::int64_t b = 0; b < trajectories.chains(); ++b)
      for (std::size_t d = 0; d < pairs; ++d) {
        const double growth = trajectories.renormalise(d, b);
        if (k >= config.burn_in) sums[static_cast<std::size_t>(b) * pairs + d] += growth;
      }
  }
  for (auto& sum : sums) sum /= static_cast<double>(config.steps);
  return sums;
}

}  // namespace langrun
