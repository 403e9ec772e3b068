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
  ~ChainSampler();
  ChainSampler(const ChainSampler&) = delete;
  ChainSampler& operator=(const ChainSampler&) = delete;

  /// The weights that later calls see. Not between `start` and `finish`.
  void refresh(const Energy& source);
  /// Begins a call; arguments as run_langevin's. Its results may be used once `finish` was called, and not before; they
  /// are the caller's.
  SampledChains start(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise);
  /// Waits for all calls begun.
  void finish();
  /// One call alone: start and finish.
  at::Tensor run(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise);

 private:
  DeviceChain& next_chain(at::IntArrayRef shape);

  FrozenEnergy energy_;
  at::Device device_;
  std::size_t at_once_, next_ = 0;
  std::vector<std::unique_ptr<DeviceChain>> chains_;  ///< on GPUs; behind energy_, which they read
};

}  // namespace langrun
