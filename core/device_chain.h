// Langevin chains on a GPU: a step captured once as a CUDA graph and replayed K times, without a word from the host.
// Only in builds with CUDA (LANGRUN_HAVE_CUDA).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/langevin.h"

namespace langrun {

/// Steps that one graph makes: the host launches K / 10 graphs, and what is left of K as graphs of one step.
constexpr std::int64_t kStepsOfGraph = 10;

/// How a DeviceChain queues its steps. The kernels are the same, and so are the bits.
enum class StepQueue {
  graph,   ///< captured at the first call, replayed from then on
  kernels  ///< launched one by one at every step: for gradients that may not be captured, and to compare with
};

/// Chains of one shape on one GPU, on a stream of their own. All that a step reads or writes stays where it is: images,
/// identities, step numbers, settings. So what was captured serves every call of this shape, whatever its key, its
/// temperature or its number of steps, and every weight that the gradient reads from the same memory
/// (FrozenEnergy::refresh). Several objects over one gradient run at the same time on the GPU.
class DeviceChain {
 public:
  /// shape [B, C, H, W]; `gradient` works on the stream that is current, allocates what it likes, never waits for the
  /// GPU, and outlives this object. Nothing is captured yet.
  DeviceChain(GradientFunction gradient, at::IntArrayRef shape, const at::Device& device,
              StepQueue queue = StepQueue::graph);
  /// Waits for what is under way.
  ~DeviceChain();
  DeviceChain(const DeviceChain&) = delete;
  DeviceChain& operator=(const DeviceChain&) = delete;

  /// As run_langevin, queued behind what the current stream holds and not waited for. The results may be used once
  /// `finish` was called. x [B, C, H, W] on this device, or in host memory (page-locked: not waited for). Throws
  /// Error(internal) where an identity is missing.
  SampledChains start(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise);
  /// Holds the calling thread, and the current stream, until every call started is done.
  void finish();
  at::IntArrayRef shape() const;
  /// How often a graph was captured, for tests.
  std::int64_t captures() const;

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace langrun
