// light on CPUs, over core/tiles.
#include "core/networks/frozen_network.h"
#include "core/tiles/convolution.h"
#include "core/tiles/engine.h"
#include "core/torch.h"

namespace langrun {
namespace {

using tiles::Ending;
using tiles::Maps;
using tiles::MapShape;

template <class T>
struct LightWeights {
  std::vector<tiles::ImageConvolution<T>> first;  ///< one
  std::vector<tiles::Convolution<T>> middle;
  at::Tensor last;  ///< [H, W, C] float32, of the convolution that covers its whole input
  float bias = 0;
};

/// One thread's way through the network and back.
template <class T>
class LightPass {
 public:
  explicit LightPass(const LightWeights<T>& weights) : weights_(weights), kernels_(*tiles::kernels<T>()) {
    shapes_.push_back({32, 32, weights.first.front().channels()});
    for (const auto& conv : weights.middle) shapes_.push_back(conv.result(shapes_.back()));
    maps_.resize(shapes_.size());
    gradients_.resize(shapes_.size());
  }

  const tiles::Kernels<T>& kernels() const { return kernels_; }

  void run(const float* x, int images, float* energy, float* gradient) {
    tiles::Finish leaky;
    leaky.slope = kSlope;
    const auto pixels = shapes_.front().pixels() * 3;
    for (int i = 0; i < images; ++i)
      weights_.first.front().forward(kernels_, x + static_cast<std::size_t>(i) * pixels, map(maps_, 0, images), i,
                                     leaky, scratch_);
    for (std::size_t i = 0; i < weights_.middle.size(); ++i)
      weights_.middle[i].forward(kernels_, constant(maps_, i), false, map(maps_, i + 1, images), images, {leaky},
                                 scratch_);
    turn(images, energy);
    for (std::size_t i = weights_.middle.size(); i-- > 0;) {
      Ending<T> masked;
      masked.finish.mask_slope = kSlope;
      masked.mask = maps_[i].data();
      weights_.middle[i].backward(kernels_, constant(gradients_, i + 1), map(gradients_, i, images), images, masked,
                                  scratch_);
    }
    for (int i = 0; i < images; ++i)
      weights_.first.front().backward(kernels_, constant(gradients_, 0), i,
                                      gradient + static_cast<std::size_t>(i) * pixels, scratch_);
  }

 private:
  static constexpr float kSlope = static_cast<float>(LightEnergy::kSlope);

  // The energy, and its gradient before the last activation.
  void turn(int images, float* energy) {
    const auto& shape = shapes_.back();
    const auto last = maps_.size() - 1;
    const float* weights = weights_.last.template const_data_ptr<float>();
    const int pixels = static_cast<int>(shape.pixels());
    const auto in = constant(maps_, last);
    const auto out = map(gradients_, last, images);
    for (int i = 0; i < images; ++i) {
      energy[i] =
          weights_.bias + kernels_.weighted_sum(in.image(i), pixels, shape.channels, weights, true, /*relu=*/false);
      kernels_.weighted_mask(in.image(i), pixels, shape.channels, weights, true, kSlope, out.image(i));
    }
  }

  Maps<T> map(std::vector<tiles::Buffer<T>>& buffers, std::size_t i, int images) {
    return {buffers[i].at_least(static_cast<std::size_t>(images) * shapes_[i].size()), shapes_[i]};
  }
  Maps<const T> constant(const std::vector<tiles::Buffer<T>>& buffers, std::size_t i) const {
    return {buffers[i].data(), shapes_[i]};
  }

  const LightWeights<T>& weights_;
  const tiles::Kernels<T>& kernels_;
  std::vector<MapShape> shapes_;                    // of each activation's result
  std::vector<tiles::Buffer<T>> maps_, gradients_;  // these results, and the gradients in what they were made of
  tiles::Scratch<T> scratch_;
};

template <class T>
class TiledLight : public FrozenNetwork {
 public:
  void refresh(const Energy& source) override {
    const auto& convolutions = dynamic_cast<const LightEnergy&>(source).convolutions();
    weights_ = {};
    weights_.first.emplace_back(convolutions.front()->weight, convolutions.front()->bias);
    for (std::size_t i = 1; i + 1 < convolutions.size(); ++i)
      weights_.middle.emplace_back(convolutions[i]->weight, convolutions[i]->bias);
    const auto& last = *convolutions.back();
    const auto values = last.weight.detach().squeeze(0).permute({1, 2, 0});
    weights_.last = at::zeros({values.size(0), values.size(1), tiles::padded<T>(values.size(2))});
    weights_.last.narrow(2, 0, values.size(2)).copy_(values);
    weights_.bias = last.bias.template item<float>();
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    return groups_.run(x, [&] { return std::make_unique<LightPass<T>>(weights_); });
  }

 private:
  LightWeights<T> weights_;
  tiles::Groups<LightPass<T>> groups_;
};

}  // namespace

std::unique_ptr<FrozenNetwork> tile_light(at::ScalarType type) {
  if (type == at::kBFloat16) return std::make_unique<TiledLight<tiles::Bf16>>();
  return std::make_unique<TiledLight<float>>();
}

}  // namespace langrun
