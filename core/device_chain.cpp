#include "core/device_chain.h"

#ifdef LANGRUN_HAVE_CUDA

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "core/chain_kernels.h"
#include "core/error.h"
#include "core/torch.h"

namespace langrun {
namespace {

using c10::cuda::CUDAStream;
using c10::cuda::CUDAStreamGuard;

/// The allocator gives a tensor's memory away as soon as the stream it was made on is done with it; this makes it wait
/// for another stream that uses it too.
void used_on(const at::Tensor& tensor, const CUDAStream& stream) {
  c10::cuda::CUDACachingAllocator::recordStream(tensor.storage().data_ptr(), stream);
}

/// Makes `later` wait for what `earlier` holds now.
void order(const CUDAStream& earlier, const CUDAStream& later) {
  c10::cuda::CUDAEvent now;
  now.record(earlier);
  now.block(later);
}

}  // namespace

class DeviceChain::Parts {
 public:
  Parts(GradientFunction gradient, at::IntArrayRef shape, const at::Device& device, StepQueue queue)
      : shape_(shape.vec()), gradient_(std::move(gradient)), queue_(queue),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {
    const torch::NoGradGuard constant;
    const CUDAStreamGuard on_stream(stream_);
    const auto count = shape.front();
    const auto on_device = [&](at::ScalarType type) { return at::TensorOptions(device).dtype(type); };
    x_ = at::zeros(shape, on_device(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
    identities_ = at::zeros({count}, on_device(at::kLong));
    steps_ = at::zeros({2, count}, on_device(at::kInt));
    settings_ = at::zeros({static_cast<std::int64_t>(sizeof(ChainSettings))}, on_device(at::kByte));
    sums_ = at::zeros({3, count}, on_device(at::kFloat));
    auto* const sums = sums_.mutable_data_ptr<float>();
    rows_ = {static_cast<ChainSettings*>(settings_.mutable_data_ptr()),
             static_cast<std::uint64_t*>(identities_.mutable_data_ptr()),
             static_cast<std::uint32_t*>(steps_.mutable_data_ptr()),
             static_cast<std::uint32_t*>(steps_.mutable_data_ptr()) + count,
             sums,
             sums + count,
             sums + 2 * count,
             count,
             count > 0 ? x_.numel() / count : 0};
  }

  ~Parts() {
    // Errors of the GPU's were reported by whoever met them first; a destructor has nobody to tell.
    try {
      stream_.synchronize();
    } catch (const c10::Error&) {
    }
  }

  SampledChains start(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise) {
    const torch::NoGradGuard constant;
    const auto callers = c10::cuda::getCurrentCUDAStream(stream_.device_index());
    const CUDAStreamGuard on_stream(stream_);
    order(callers, stream_);
    if (queue_ == StepQueue::graph && config.steps > 0 && !one_step_) capture();
    if (x.is_cuda()) used_on(x, stream_);
    x_.copy_(x, /*non_blocking=*/true);
    begin_chains(rows_,
                 {{noise.key.words[0], noise.key.words[1]},
                  noise.end_step,
                  static_cast<float>(config.gradient_weight()),
                  static_cast<float>(config.eta),
                  static_cast<float>(config.max_norm)},
                 noise.identities, starts_of(noise), stream_.stream());
    queue_steps(config.steps);
    return results(config.steps, callers);
  }

  void finish() {
    order(stream_, c10::cuda::getCurrentCUDAStream(stream_.device_index()));
    stream_.synchronize();
  }

  at::IntArrayRef shape() const { return shape_; }
  std::int64_t captures() const { return captures_; }

 private:
  static std::vector<std::uint32_t> starts_of(const ChainNoise& noise) {
    if (!noise.first_steps.empty()) return noise.first_steps;
    return std::vector<std::uint32_t>(noise.identities.size(), noise.first_step);
  }

  void step() {
    const auto [energy, slope] = gradient_(x_);
    const auto along = slope.contiguous(at::MemoryFormat::ChannelsLast);
    move_chains(rows_, energy.const_data_ptr<float>(), along.const_data_ptr<float>(), x_.mutable_data_ptr<float>(),
                stream_.stream());
  }

  void queue_steps(std::int64_t steps) {
    for (; queue_ == StepQueue::graph && steps >= kStepsOfGraph; steps -= kStepsOfGraph) many_steps_->replay();
    for (; steps > 0; --steps) queue_ == StepQueue::graph ? one_step_->replay() : step();
  }

  void capture() {
    // What the libraries make once (handles, workspaces, plans) has to be made before: on this stream, since cuBLAS
    // keeps a workspace a stream, and twice, since some of it comes with the second call. On images of zeros; the
    // chains that are asked for are written over them.
    const auto count = static_cast<std::size_t>(rows_.count);
    begin_chains(rows_, {.key = {}, .end_step = 2}, std::vector<std::uint64_t>(count),
                 std::vector<std::uint32_t>(count), stream_.stream());
    step();
    step();
    // No work may be pending whose memory would come back in the middle of the capture.
    stream_.synchronize();
    // The two share one pool: they never run at the same time, and keep nothing in it from one launch to the next.
    auto many = captured(kStepsOfGraph, {0, 0});
    auto one = captured(1, many->pool());
    many_steps_ = std::move(many);
    one_step_ = std::move(one);
  }

  std::unique_ptr<at::cuda::CUDAGraph> captured(std::int64_t steps, c10::MempoolId_t pool) {
    auto graph = std::make_unique<at::cuda::CUDAGraph>();
    // Other threads (loader, checkpoint writer, watchdog) may call CUDA meanwhile: only this one is held to the rules.
    graph->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    try {
      for (; steps > 0; --steps) step();
    } catch (...) {
      // The stream has to leave its capture, or nothing would run on it again. The first error is the one to tell.
      try {
        graph->capture_end();
      } catch (const c10::Error&) {
      }
      throw;
    }
    graph->capture_end();
    ++captures_;
    return graph;
  }

  // Copies: the next call writes over what a graph works on.
  SampledChains results(std::int64_t steps, const CUDAStream& callers) {
    SampledChains sampled;
    sampled.chains = x_.clone(at::MemoryFormat::ChannelsLast);
    sampled.host = at::empty(
        shape_,
        at::TensorOptions().dtype(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast).pinned_memory(true));
    sampled.host.copy_(sampled.chains, /*non_blocking=*/true);
    used_on(sampled.chains, callers);
    if (steps == 0) return sampled;
    auto& record = sampled.record;
    record.gradient_magnitude = sums_[0] / static_cast<double>(steps);
    record.first_energy = sums_[1].clone();
    record.last_energy = sums_[2].clone();
    for (const auto& tensor : {record.gradient_magnitude, record.first_energy, record.last_energy})
      used_on(tensor, callers);
    return sampled;
  }

  std::vector<std::int64_t> shape_;
  GradientFunction gradient_;
  StepQueue queue_;
  CUDAStream stream_;
  at::Tensor x_, identities_, steps_, settings_, sums_;  ///< what a captured step reads and writes
  DeviceRows rows_{};                                    ///< the same as addresses
  std::unique_ptr<at::cuda::CUDAGraph> many_steps_, one_step_;
  std::int64_t captures_ = 0;
};

DeviceChain::DeviceChain(GradientFunction gradient, at::IntArrayRef shape, const at::Device& device, StepQueue queue)
    : parts_(std::make_unique<Parts>(std::move(gradient), shape, device, queue)) {}
DeviceChain::~DeviceChain() = default;

SampledChains DeviceChain::start(const at::Tensor& x, const LangevinConfig& config, const ChainNoise& noise) {
  if (!x.sizes().equals(parts_->shape())) throw Error(ExitCode::internal, "chains of another shape than was captured");
  return parts_->start(x, config, noise);
}

void DeviceChain::finish() { parts_->finish(); }
at::IntArrayRef DeviceChain::shape() const { return parts_->shape(); }
std::int64_t DeviceChain::captures() const { return parts_->captures(); }

}  // namespace langrun

#endif
