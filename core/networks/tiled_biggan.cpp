// biggan on CPUs, over core/tiles.
#include <optional>

#include "core/networks/biggan.h"
#include "core/networks/frozen_network.h"
#include "core/tiles/attention.h"
#include "core/tiles/engine.h"
#include "core/tiles/tail.h"
#include "core/torch.h"

namespace langrun {
namespace {

using tiles::Ending;
using tiles::Maps;
using tiles::MapShape;

/// The convolutions of a network by name, with the weights that its forward pass uses.
class NamedConvolutions {
 public:
  explicit NamedConvolutions(const Energy& energy) : modules_(energy.named_modules()) {}
  const Conv& operator[](const std::string& name) const { return *modules_[name]->as<Conv>(); }
  bool has(const std::string& name) const { return modules_.contains(name); }
  template <class T>
  tiles::Convolution<T> tiled(const std::string& name) const {
    const auto& conv = (*this)[name];
    return {conv.effective_weight(), conv.bias};
  }

 private:
  torch::OrderedDict<std::string, std::shared_ptr<torch::nn::Module>> modules_;
};

/// Where a block widens, its skip is the input with new channels behind: one product with the identity above the new
/// channels' weights, exact for the input's part.
at::Tensor widening(const at::Tensor& shortcut) {
  const auto in = shortcut.size(1);
  return at::cat({at::eye(in, shortcut.options()).view({in, in, 1, 1}), shortcut.detach()});
}

template <class T>
struct BottleneckWeights {
  bool pool;
  tiles::Convolution<T> conv1, conv2, conv3, conv4;
  std::optional<tiles::Convolution<T>> skip;  ///< where it widens

  BottleneckWeights(const NamedConvolutions& named, const std::string& name, bool pools)
      : pool(pools), conv1(named.tiled<T>(name + ".conv1")), conv2(named.tiled<T>(name + ".conv2")),
        conv3(named.tiled<T>(name + ".conv3")), conv4(named.tiled<T>(name + ".conv4")) {
    if (!named.has(name + ".shortcut")) return;
    const auto& conv = named[name + ".shortcut"];
    const auto weight = widening(conv.effective_weight());
    skip.emplace(weight, at::cat({at::zeros({weight.size(1)}, conv.bias.options()), conv.bias.detach()}));
  }
};

template <class T>
struct BigganWeights {
  int size = 0;
  std::size_t attention_before = 0;
  std::optional<tiles::ImageConvolution<T>> first;
  std::vector<BottleneckWeights<T>> blocks;
  std::optional<tiles::AttentionWeights<T>> attention;
  tiles::PooledTail tail;
};

/// Maps of one block: results of its convolutions after their ReLU, and gradients in them. Hidden maps of forward and
/// backward passes have the block's inner width.
template <class T>
struct BottleneckMaps {
  MapShape in, hidden, pooled, skipped, out;
  tiles::Buffer<T> first, second, third, means, skip_means, skips, outs;
  tiles::Buffer<T> slope1, slope2, slope3, mean_slope, skip_slope, gradients;
};

template <class T>
class BigganPass {
 public:
  explicit BigganPass(const BigganWeights<T>& weights)
      : weights_(weights), kernels_(*tiles::kernels<T>()),
        blocks_(weights.blocks.size()), image_{weights.size, weights.size, 3}, start_{weights.size, weights.size,
                                                                                      weights.first->channels()} {
    auto shape = start_;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (i == weights.attention_before) attention_.emplace(*weights.attention, shape);
      auto& maps = blocks_[i];
      const auto& block = weights.blocks[i];
      const int step = block.pool ? 2 : 1;
      maps.in = shape;
      maps.hidden = block.conv1.result(shape);
      maps.pooled = {shape.height / step, shape.width / step, maps.hidden.channels};
      maps.skipped = {shape.height / step, shape.width / step, shape.channels};
      maps.out = block.conv4.result(maps.pooled);
      shape = maps.out;
    }
  }

  const tiles::Kernels<T>& kernels() const { return kernels_; }

  void run(const float* x, int images, float* energy, float* gradient) {
    const auto start = map(starts_, start_, images);
    for (int k = 0; k < images; ++k)
      weights_.first->forward(kernels_, x + static_cast<std::size_t>(k) * image_.size(), start, k, {}, scratch_);
    inputs_.assign(blocks_.size(), {});
    auto h = constant(start);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (i == weights_.attention_before) {
        const auto attended = map(attended_, h.shape, images);
        attention_->forward(kernels_, h, attended, images, scratch_);
        h = constant(attended);
      }
      inputs_[i] = h;
      h = forward(i, h, images);
    }
    const auto turned = map(turned_, h.shape, images);
    weights_.tail.run(kernels_, h, images, energy, turned.data);
    auto slope = constant(turned);
    for (std::size_t i = blocks_.size(); i-- > 0;) {
      slope = backward(i, slope, images);
      if (i != weights_.attention_before) continue;
      const auto before = map(before_attention_, slope.shape, images);
      attention_->backward(kernels_, slope, before, images, scratch_);
      slope = constant(before);
    }
    for (int k = 0; k < images; ++k)
      weights_.first->backward(kernels_, slope, k, gradient + static_cast<std::size_t>(k) * image_.size(), scratch_);
  }

 private:
  Maps<const T> forward(std::size_t i, const Maps<const T>& x, int images) {
    const auto& block = weights_.blocks[i];
    auto& maps = blocks_[i];
    Ending<T> relu;
    relu.finish.slope = 0;
    const auto first = map(maps.first, maps.hidden, images), second = map(maps.second, maps.hidden, images),
               third = map(maps.third, maps.hidden, images);
    block.conv1.forward(kernels_, x, true, first, images, relu, scratch_);
    block.conv2.forward(kernels_, constant(first), false, second, images, relu, scratch_);
    block.conv3.forward(kernels_, constant(second), false, third, images, relu, scratch_);
    Ending<T> sum;
    sum.add = skip(i, x, images);
    const auto out = map(maps.outs, maps.out, images);
    block.conv4.forward(kernels_, averaged(i, constant(third), maps.means, maps.pooled, images), false, out, images,
                        sum, scratch_);
    return constant(out);
  }

  const T* skip(std::size_t i, const Maps<const T>& x, int images) {
    auto& maps = blocks_[i];
    const auto in = averaged(i, x, maps.skip_means, maps.skipped, images);
    if (!weights_.blocks[i].skip) return in.data;
    const auto skips = map(maps.skips, maps.out, images);
    weights_.blocks[i].skip->forward(kernels_, in, false, skips, images, {}, scratch_);
    return skips.data;
  }

  // x, or its 2x2 means in a block that pools.
  Maps<const T> averaged(std::size_t i, const Maps<const T>& x, tiles::Buffer<T>& buffer, const MapShape& shape,
                         int images) {
    if (!weights_.blocks[i].pool) return x;
    const auto means = map(buffer, shape, images);
    for (int k = 0; k < images; ++k)
      kernels_.average(x.image(k), x.shape.height, x.shape.width, x.shape.channels, means.image(k));
    return constant(means);
  }

  Maps<const T> backward(std::size_t i, const Maps<const T>& gradient, int images) {
    const auto& block = weights_.blocks[i];
    auto& maps = blocks_[i];
    const auto slope1 = map(maps.slope1, maps.hidden, images), slope2 = map(maps.slope2, maps.hidden, images);
    block.conv3.backward(kernels_, before_last(i, gradient, images), slope2, images, masked(maps.second), scratch_);
    block.conv2.backward(kernels_, constant(slope2), slope1, images, masked(maps.first), scratch_);
    Ending<T> ending;
    ending.finish.mask_slope = 0;
    ending.mask = inputs_[i].data;
    ending.add = gradient.data;
    if (block.skip) {
      const auto skip = map(maps.skip_slope, maps.skipped, images);
      block.skip->backward(kernels_, gradient, skip, images, {}, scratch_);
      ending.add = skip.data;
    }
    ending.add_half = block.pool;
    ending.finish.add_scale = block.pool ? 0.25f : 1.0f;
    const auto out = map(maps.gradients, maps.in, images);
    block.conv1.backward(kernels_, constant(slope1), out, images, ending, scratch_);
    return constant(out);
  }

  // Gradient before the ReLU of the third convolution.
  Maps<const T> before_last(std::size_t i, const Maps<const T>& gradient, int images) {
    const auto& block = weights_.blocks[i];
    auto& maps = blocks_[i];
    const auto slope = map(maps.slope3, maps.hidden, images);
    if (!block.pool) {
      block.conv4.backward(kernels_, gradient, slope, images, masked(maps.third), scratch_);
      return constant(slope);
    }
    const auto means = map(maps.mean_slope, maps.pooled, images);
    block.conv4.backward(kernels_, gradient, means, images, {}, scratch_);
    const auto& hidden = maps.hidden;
    for (int k = 0; k < images; ++k)
      kernels_.spread(means.image(k), maps.third.data() + static_cast<std::size_t>(k) * hidden.size(), hidden.height,
                      hidden.width, hidden.channels, slope.image(k));
    return constant(slope);
  }

  static Ending<T> masked(const tiles::Buffer<T>& result) {
    Ending<T> ending;
    ending.finish.mask_slope = 0;
    ending.mask = result.data();
    return ending;
  }
  static Maps<T> map(tiles::Buffer<T>& buffer, const MapShape& shape, int images) {
    return {buffer.at_least(static_cast<std::size_t>(images) * shape.size()), shape};
  }
  static Maps<const T> constant(const Maps<T>& maps) { return {maps.data, maps.shape}; }

  const BigganWeights<T>& weights_;
  const tiles::Kernels<T>& kernels_;
  std::vector<BottleneckMaps<T>> blocks_;
  MapShape image_, start_;
  std::optional<tiles::AttentionPass<T>> attention_;
  std::vector<Maps<const T>> inputs_;  // of the blocks, in the last forward pass
  tiles::Buffer<T> starts_, attended_, turned_, before_attention_;
  tiles::Scratch<T> scratch_;
};

template <class T>
class TiledBiggan : public FrozenNetwork {
 public:
  void refresh(const Energy& source) override {
    const auto& energy = dynamic_cast<const BigganEnergy&>(source);
    const NamedConvolutions named(source);
    weights_ = {};
    weights_.size = static_cast<int>(energy.input().height);
    weights_.attention_before = energy.plan().attention_before;
    weights_.first.emplace(named["conv"].effective_weight(), named["conv"].bias);
    for (std::size_t i = 0; i + 1 < energy.plan().widths.size(); ++i)
      weights_.blocks.emplace_back(named, "blocks." + std::to_string(i), energy.plan().pools(i));
    const auto kernel = [&](const char* name) { return named[std::string("attention.") + name].effective_weight(); };
    weights_.attention.emplace(kernel("theta"), kernel("phi"), kernel("g"), kernel("o"), energy.gamma());
    const auto linear = energy.linear().effective_weight();
    weights_.tail = {linear, tiles::padded<T>(linear.numel())};
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    return groups_.run(x, [&] { return std::make_unique<BigganPass<T>>(weights_); });
  }

 private:
  BigganWeights<T> weights_;
  tiles::Groups<BigganPass<T>> groups_;
};

}  // namespace

std::unique_ptr<FrozenNetwork> tile_biggan(at::ScalarType type) {
  if (type == at::kBFloat16) return std::make_unique<TiledBiggan<tiles::Bf16>>();
  return std::make_unique<TiledBiggan<float>>();
}

}  // namespace langrun
