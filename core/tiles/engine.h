// Frozen networks on CPUs, written out over tiles/convolution.h: what their passes share.
#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/networks/energy.h"
#include "core/tiles/kernels.h"
#include "core/tiles/product.h"

namespace langrun::tiles {

/// The routines for number type T that this processor runs fastest; nullptr where it has none (fp32: neither AVX2 nor
/// AVX-512; bf16: no AVX512_BF16).
template <class T>
const Kernels<T>* kernels();

/// What products of bfloat16 run on here: "AMX", "AVX512_BF16" or "none".
const char* bf16_products();

/// Sum of squares of `count` values, always in the same order on one kind of processor.
float squared_norm(const float* values, std::size_t count);

/// Energies and gradients of a batch, image groups at a time, on all threads of the process. The tensors it returns are
/// its own and are written over by the next call, so that a step of a chain allocates nothing.
template <class Pass>
class Groups {
 public:
  /// x [B, C, H, W] float32 channels-last. Pass has run(x, images, energy, gradient) over plain memory, for at most
  /// 16 images, and kernels(); `make` makes one for each thread, once: it follows its network's weights when they
  /// are replaced by others of the same shapes.
  template <class Make>
  EnergyGradient run(const at::Tensor& x, const Make& make) {
    const auto batch = x.size(0), size = x.numel() / std::max<std::int64_t>(batch, 1);
    if (!results_.gradient.defined() || !results_.gradient.sizes().equals(x.sizes())) {
      results_.energy = at::empty({batch}, x.options().memory_format(at::MemoryFormat::Contiguous));
      results_.gradient = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast));
    }
    const std::int64_t threads = at::get_num_threads();
    while (static_cast<std::int64_t>(passes_.size()) < threads) passes_.push_back(make());
    // A sample's bits depend neither on its group nor on its place there, so the split may follow the threads.
    const auto group = std::min((batch + threads - 1) / threads, most(x.size(2) * x.size(3)));
    const float* images = x.const_data_ptr<float>();
    float* energy = results_.energy.mutable_data_ptr<float>();
    float* gradient = results_.gradient.mutable_data_ptr<float>();
    at::parallel_for(0, (batch + group - 1) / group, 1, [&](std::int64_t begin, std::int64_t end) {
      auto& pass = *passes_[static_cast<std::size_t>(at::get_thread_num())];
      // Around the run, since libraries use the same tile registers in between.
      pass.kernels().begin();
      for (auto first = begin * group; first < std::min(end * group, batch); first += group)
        pass.run(images + first * size, static_cast<int>(std::min(group, batch - first)), energy + first,
                 gradient + first * size);
      pass.kernels().end();
    });
    return results_;
  }

 private:
  static constexpr std::int64_t kMost = 16;
  // Enough for the products of the smallest maps to have 64 rows, the size for which weights are worth fetching; of
  // large images few, since a pass keeps all maps of its group (biggan224: 200 MB an image).
  static std::int64_t most(std::int64_t pixels) { return std::clamp<std::int64_t>(8 * 128 * 128 / pixels, 2, kMost); }
  std::vector<std::unique_ptr<Pass>> passes_;
  EnergyGradient results_;
};

}  // namespace langrun::tiles
