// Chains of one energy, the fast way on whatever device they are: what training and sampling call.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/langevin.h"
#include "core/networks/frozen_energy.h"

namespace langrun {

class DeviceChain;

/// What chains feel beside the network's own U / T: E(x) = U(x)/T + U_prior(x)/T_prior + ||x||^2/(2 tau^2) [LC, Alg.
/// 4].
struct SamplingTerms {
  std::unique_ptr<FrozenEnergy> prior;  ///< with its weights; none: no such term
  double prior_temperature = 1;
  double tau = 0;  ///< pixel range [-1, 1]; 0: no such term

  bool any() const { return prior != nullptr || tau > 0; }
};

/// run_langevin with the gradient of a FrozenEnergy. On a CPU, just that. On a GPU each call runs from a captured graph
/// (core/device_chain.h) and is not waited for: the next calls' images are made, uploaded and sampled meanwhile, up to
/// kCallsAtOnce calls side by side, each on a stream and in memory of its own. Results do not depend on what runs
/// beside them.
class ChainSampler {
 public:
  /// Calls that run on a GPU at the same time. One call of a lane's few images does not fill a GPU.
  static constexpr std::size_t kCallsAtOnce = 4;

  /// As FrozenEnergy. `at_once`: fewer calls side by side than that, for less memory.
  ChainSampler(const EnergyConfig& energy, const std::string& precision, const at::Device& device,
               std::size_t at_once = kCallsAtOnce);
  /// Of an energy that is no built-in network, on the CPU.
  explicit ChainSampler(std::shared_ptr<Energy> energy);
  ~ChainSampler();
  ChainSampler(const ChainSampler&) = delete;
  ChainSampler& operator=(const ChainSampler&) = delete;

  /// Further terms of the energy. Before the first call. `temperature`: the T that the network was trained with, by
  /// which its part and the prior's are weighed against each other; a call with J T in its place divides both by the
  /// joint temperature J, and the Gaussian term by nothing. Energies of records stay the network's own U.
  void add_terms(SamplingTerms terms, double temperature);
  /// The weights that later calls see. Not between `start` and `finish`.
  void refresh(const Energy& source);
  /// Begins a call; arguments as run_langevin's. Its results may be used once `finish` was called, and not before; they
  /// are the caller's.
  SampledChains start(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise);
  /// Waits for all calls begun.
  void finish();
  /// One call alone: start and finish.
  at::Tensor run(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise);

  /// U(x) and T grad E(x), once, for the T of the last call (or of add_terms): images [B, C, H, W] channels-last on the
  /// device. Written over by the next call.
  EnergyGradient gradient(const at::Tensor& images);

 private:
  DeviceChain& next_chain(at::IntArrayRef shape);
  at::Tensor scaled(const at::Tensor& images);
  void set_temperature(double temperature);

  FrozenEnergy energy_;
  SamplingTerms terms_;
  double prior_share_ = 0, gaussian_share_ = 0;  ///< T / T_prior, T / tau^2
  at::Tensor gaussian_factor_;                   ///< the second, on the device: captured graphs read it there
  at::Tensor scaled_;                            ///< [B, C, H, W], images times it
  at::Device device_;
  std::size_t at_once_, next_ = 0;
  std::vector<std::unique_ptr<DeviceChain>> chains_;  ///< on GPUs; behind energy_, which they read
};

}  // namespace langrun
