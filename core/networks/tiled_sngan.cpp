// sngan on CPUs, over core/tiles.
#include <optional>

#include "core/networks/frozen_network.h"
#include "core/networks/pooled_kernel.h"
#include "core/tiles/convolution.h"
#include "core/tiles/engine.h"
#include "core/tiles/tail.h"
#include "core/torch.h"

namespace langrun {
namespace {

using tiles::Ending;
using tiles::Maps;
using tiles::MapShape;

template <class T>
struct BlockWeights {
  ResBlockShape shape;
  std::optional<tiles::ImageConvolution<T>> stem;  ///< stands for conv1 in the stem
  std::optional<tiles::Convolution<T>> conv1, conv2, shortcut;

  explicit BlockWeights(const ResBlock& block) : shape(block.shape()) {
    if (shape.stem)
      stem.emplace(block.conv1->weight, block.conv1->bias);
    else
      conv1.emplace(block.conv1->weight, block.conv1->bias);
    conv2.emplace(shape.pool ? pooled_kernel(block.conv2->weight.detach()) : block.conv2->weight, block.conv2->bias);
    if (block.shortcut != nullptr) shortcut.emplace(block.shortcut->weight, block.shortcut->bias);
  }
};

template <class T>
struct SnganWeights {
  int size = 0;
  std::vector<BlockWeights<T>> blocks;
  tiles::PooledTail tail;
};

/// The maps of one block: results of its convolutions, and gradients in them.
template <class T>
struct BlockMaps {
  MapShape in, middle, pooled, out;
  tiles::Buffer<T> middles, means, skips, outs;  // forwards
  tiles::Buffer<T> inner, skipped, gradients;    // backwards; `gradients` are those in the block's input
};

template <class T>
class SnganPass {
 public:
  explicit SnganPass(const SnganWeights<T>& weights)
      : weights_(weights), kernels_(*tiles::kernels<T>()), blocks_(weights.blocks.size()) {
    MapShape shape{weights.size, weights.size, 3};
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const auto& block = weights.blocks[i];
      auto& maps = blocks_[i];
      maps.in = shape;
      const int channels = block.stem ? block.stem->channels() : block.conv1->result(shape).channels;
      maps.middle = {shape.height, shape.width, channels};
      maps.out = block.conv2->result(maps.middle);
      maps.pooled = {maps.out.height, maps.out.width, block.stem ? tiles::padded<T>(3) : shape.channels};
      shape = maps.out;
    }
  }

  const tiles::Kernels<T>& kernels() const { return kernels_; }

  void run(const float* x, int images, float* energy, float* gradient) {
    image_ = x;
    const auto size = static_cast<std::size_t>(images);
    for (std::size_t i = 0; i < blocks_.size(); ++i) forward(i, images);
    const auto& last = blocks_.back();
    T* turned = turned_.at_least(size * last.out.size());
    weights_.tail.run(kernels_, Maps<const T>{last.outs.data(), last.out}, images, energy, turned);
    Maps<const T> slope{turned, last.out};
    for (std::size_t i = blocks_.size(); i-- > 1;) slope = backward(i, slope, images);
    backward_stem(slope, images, gradient);
  }

 private:
  // A block's input as it came, before any ReLU; the stem's is the image.
  Maps<const T> input(std::size_t i) const { return {blocks_[i - 1].outs.data(), blocks_[i].in}; }

  void forward(std::size_t i, int images) {
    const auto& block = weights_.blocks[i];
    auto& maps = blocks_[i];
    const auto size = static_cast<std::size_t>(images);
    const Maps<T> middle{maps.middles.at_least(size * maps.middle.size()), maps.middle};
    const Maps<T> out{maps.outs.at_least(size * maps.out.size()), maps.out};
    tiles::Finish relu;
    relu.slope = 0;
    if (block.stem) {
      for (int k = 0; k < images; ++k)
        block.stem->forward(kernels_, image_ + static_cast<std::size_t>(k) * maps.in.size(), middle, k, relu, scratch_);
    } else {
      block.conv1->forward(kernels_, input(i), true, middle, images, {relu}, scratch_);
    }
    Ending<T> sum;
    sum.add = skip(i, images);
    block.conv2->forward(kernels_, constant(middle), false, out, images, sum, scratch_);
  }

  // What is added to the block's second convolution.
  const T* skip(std::size_t i, int images) {
    const auto& block = weights_.blocks[i];
    auto& maps = blocks_[i];
    const auto size = static_cast<std::size_t>(images);
    if (!block.shortcut) return input(i).data;
    Maps<const T> in;
    if (block.shape.pool) {
      T* means = maps.means.at_least(size * maps.pooled.size());
      for (int k = 0; k < images; ++k) {
        T* to = means + static_cast<std::size_t>(k) * maps.pooled.size();
        if (block.stem)
          tiles::average_image(kernels_, image_ + static_cast<std::size_t>(k) * maps.in.size(), maps.in, to, floats_);
        else
          kernels_.average(input(i).image(k), maps.in.height, maps.in.width, maps.in.channels, to);
      }
      in = {means, maps.pooled};
    } else {
      in = input(i);
    }
    const Maps<T> skips{maps.skips.at_least(size * maps.out.size()), maps.out};
    block.shortcut->forward(kernels_, in, false, skips, images, {}, scratch_);
    return skips.data;
  }

  // From the gradient in a block's result to that before the ReLU of its second convolution.
  Maps<const T> inner(std::size_t i, const Maps<const T>& gradient, int images) {
    auto& maps = blocks_[i];
    Ending<T> masked;
    masked.finish.mask_slope = 0;
    masked.mask = maps.middles.data();
    const Maps<T> out{maps.inner.at_least(static_cast<std::size_t>(images) * maps.middle.size()), maps.middle};
    weights_.blocks[i].conv2->backward(kernels_, gradient, out, images, masked, scratch_);
    return constant(out);
  }

  Maps<const T> through_shortcut(std::size_t i, const Maps<const T>& gradient, int images) {
    auto& maps = blocks_[i];
    const auto& shape = weights_.blocks[i].shape.pool ? maps.pooled : maps.in;
    const Maps<T> out{maps.skipped.at_least(static_cast<std::size_t>(images) * shape.size()), shape};
    weights_.blocks[i].shortcut->backward(kernels_, gradient, out, images, {}, scratch_);
    return constant(out);
  }

  Maps<const T> backward(std::size_t i, const Maps<const T>& gradient, int images) {
    const auto& block = weights_.blocks[i];
    auto& maps = blocks_[i];
    Ending<T> ending;
    ending.finish.mask_slope = 0;
    ending.mask = input(i).data;
    ending.add = block.shortcut ? through_shortcut(i, gradient, images).data : gradient.data;
    ending.add_half = block.shape.pool;
    ending.finish.add_scale = block.shape.pool ? 0.25f : 1.0f;
    const auto before = inner(i, gradient, images);
    const Maps<T> out{maps.gradients.at_least(static_cast<std::size_t>(images) * maps.in.size()), maps.in};
    block.conv1->backward(kernels_, before, out, images, ending, scratch_);
    return constant(out);
  }

  void backward_stem(const Maps<const T>& slope, int images, float* gradient) {
    const auto& block = weights_.blocks.front();
    const auto& maps = blocks_.front();
    const auto skipped = through_shortcut(0, slope, images);
    const auto before = inner(0, slope, images);
    for (int k = 0; k < images; ++k) {
      float* to = gradient + static_cast<std::size_t>(k) * maps.in.size();
      block.stem->backward(kernels_, before, k, to, scratch_);
      tiles::add_average_gradient(kernels_, skipped.image(k), maps.pooled, to, floats_);
    }
  }

  static Maps<const T> constant(const Maps<T>& maps) { return {maps.data, maps.shape}; }

  const SnganWeights<T>& weights_;
  const tiles::Kernels<T>& kernels_;
  const float* image_ = nullptr;
  std::vector<BlockMaps<T>> blocks_;
  tiles::Buffer<T> turned_;
  tiles::Buffer<float> floats_;
  tiles::Scratch<T> scratch_;
};

template <class T>
class TiledSngan : public FrozenNetwork {
 public:
  void refresh(const Energy& source) override {
    const auto& energy = dynamic_cast<const SnganEnergy&>(source);
    weights_ = {};
    weights_.size = static_cast<int>(energy.input().height);
    for (const auto& block : energy.blocks()) weights_.blocks.emplace_back(*block);
    weights_.tail = {energy.linear().weight, tiles::padded<T>(energy.linear().weight.numel())};
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    return groups_.run(x, [&] { return std::make_unique<SnganPass<T>>(weights_); });
  }

 private:
  SnganWeights<T> weights_;
  tiles::Groups<SnganPass<T>> groups_;
};

}  // namespace

std::unique_ptr<FrozenNetwork> tile_sngan(at::ScalarType type) {
  if (type == at::kBFloat16) return std::make_unique<TiledSngan<tiles::Bf16>>();
  return std::make_unique<TiledSngan<float>>();
}

}  // namespace langrun
