// mlp2d on CPUs, over core/tiles.
#include <type_traits>

#include "core/networks/frozen_network.h"
#include "core/tiles/engine.h"
#include "core/tiles/maps.h"
#include "core/tiles/product.h"
#include "core/torch.h"

namespace langrun {
namespace {

/// A layer's weight both ways round, padded with zeros to whole vectors: SiLU of 0 is 0, so what is padded stays 0.
template <class T>
struct MlpLayer {
  tiles::PackedMatrices<T> forward;   ///< [1, in, out]
  tiles::PackedMatrices<T> backward;  ///< [1, out, in]
  at::Tensor bias;                    ///< [out] float32
};

template <class T>
struct MlpWeights {
  std::vector<MlpLayer<T>> layers;  ///< all but the last
  at::Tensor last;                  ///< [width] float32
  float bias = 0;
  int width = 0;  ///< padded
};

/// One thread's way through the network and back.
template <class T>
class MlpPass {
 public:
  explicit MlpPass(const MlpWeights<T>& weights)
      : weights_(weights), kernels_(*tiles::kernels<T>()), values_(weights.layers.size() + 1),
        slopes_(weights.layers.size()) {}

  const tiles::Kernels<T>& kernels() const { return kernels_; }

  void run(const float* x, int points, float* energy, float* gradient) {
    take(x, points);
    const auto rows = static_cast<std::size_t>(points);
    for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
      const auto& layer = weights_.layers[i];
      const int width = layer.forward.columns();
      const auto size = rows * static_cast<std::size_t>(width);
      multiply(layer.forward, values_[i].data(), points);
      kernels_.silu(sums_.data(), static_cast<std::size_t>(width), points, width,
                    layer.bias.template const_data_ptr<float>(), values_[i + 1].at_least(size),
                    slopes_[i].at_least(size));
    }
    turn(points, energy);
    for (std::size_t i = weights_.layers.size(); i-- > 0;) {
      const auto& layer = weights_.layers[i];
      const int width = layer.forward.columns();
      // Where a layer's values were, the gradient in its sums: the values are not needed on the way back.
      kernels_.times_slope(sums_.data(), static_cast<std::size_t>(width), points, width, slopes_[i].data(),
                           values_[i + 1].data());
      multiply(layer.backward, values_[i + 1].data(), points);
    }
    const auto pitch = static_cast<std::size_t>(weights_.layers.front().backward.columns());
    for (std::size_t p = 0; p < rows; ++p) {
      gradient[2 * p] = sums_.data()[p * pitch];
      gradient[2 * p + 1] = sums_.data()[p * pitch + 1];
    }
  }

 private:
  /// Points [points, 2] as rows of the first layer's depth.
  void take(const float* x, int points) {
    const auto depth = static_cast<std::size_t>(weights_.layers.front().forward.depth());
    const auto count = static_cast<std::size_t>(points) * depth;
    float* rows = padded_.at_least(count);
    std::fill_n(rows, count, 0.0f);
    for (std::size_t p = 0; p < static_cast<std::size_t>(points); ++p) std::copy_n(x + 2 * p, 2, rows + p * depth);
    T* to = values_.front().at_least(count);
    if constexpr (std::is_same_v<T, float>) {
      std::copy_n(rows, count, to);
    } else {
      tiles::Finish nothing;
      kernels_.finish_rows(rows, depth, points, static_cast<int>(depth), nothing, {to, nullptr, nullptr}, depth);
    }
  }

  /// sums_ [points, columns] = a [points, depth] times the matrix.
  void multiply(const tiles::PackedMatrices<T>& matrix, const T* a, int points) {
    const auto columns = static_cast<std::size_t>(matrix.columns()), chunk = static_cast<std::size_t>(matrix.chunk());
    float* sums = sums_.at_least(static_cast<std::size_t>(points) * columns);
    const auto pitch = static_cast<std::size_t>(matrix.depth());
    if (matrix.chunks() == 1) {
      matrix.multiply(kernels_, 0, 0, points, a, pitch, sums);
      return;
    }
    float* piece = piece_.at_least(static_cast<std::size_t>(points) * chunk);
    for (int c = 0; c < matrix.chunks(); ++c) {
      matrix.multiply(kernels_, 0, c, points, a, pitch, piece);
      for (std::size_t p = 0; p < static_cast<std::size_t>(points); ++p)
        std::copy_n(piece + p * chunk, chunk, sums + p * columns + static_cast<std::size_t>(c) * chunk);
    }
  }

  // The energy, and its gradient in the last hidden values: the last layer's weights, for every point.
  void turn(int points, float* energy) {
    const float* last = weights_.last.template const_data_ptr<float>();
    const auto width = static_cast<std::size_t>(weights_.width);
    const T* values = values_.back().data();
    float* sums = sums_.data();
    for (std::size_t p = 0; p < static_cast<std::size_t>(points); ++p) {
      energy[p] = weights_.bias + kernels_.weighted_sum(values + p * width, 1, weights_.width, last, false, false);
      std::copy_n(last, width, sums + p * width);
    }
  }

  const MlpWeights<T>& weights_;
  const tiles::Kernels<T>& kernels_;
  std::vector<tiles::Buffer<T>> values_, slopes_;  // the points, then each layer's results; SiLU's derivatives
  tiles::Buffer<float> padded_, sums_, piece_;
};

template <class T>
class TiledMlp : public FrozenNetwork {
 public:
  void refresh(const Energy& source) override {
    const auto& layers = dynamic_cast<const MlpEnergy&>(source).layers();
    weights_.layers.resize(layers.size() - 1);
    // The first layer's factor goes into its weights: a power of two, so no bit changes.
    for (std::size_t i = 0; i + 1 < layers.size(); ++i)
      pack(*layers[i], i == 0 ? MlpEnergy::kScale : 1.0, weights_.layers[i]);
    const auto last = layers.back()->weight.detach().flatten();
    weights_.width = tiles::padded<T>(last.size(0));
    weights_.last = at::zeros({weights_.width});
    weights_.last.narrow(0, 0, last.size(0)).copy_(last);
    weights_.bias = layers.back()->bias.template item<float>();
  }

  EnergyGradient energy_and_gradient(const at::Tensor& x) override {
    return groups_.run(x, [&] { return std::make_unique<MlpPass<T>>(weights_); });
  }

 private:
  static void pack(const Linear& from, double scale, MlpLayer<T>& to) {
    const auto weight = from.weight.detach().to(at::kFloat) * scale;
    const auto in = weight.size(1), out = weight.size(0);
    const auto wide = at::zeros({1, tiles::padded<T>(in), tiles::padded<T>(out)});
    wide[0].narrow(0, 0, in).narrow(1, 0, out).copy_(weight.t());
    to.forward = tiles::PackedMatrices<T>(wide);
    to.backward = tiles::PackedMatrices<T>(wide.transpose(1, 2).contiguous());
    to.bias = at::zeros({tiles::padded<T>(out)});
    to.bias.narrow(0, 0, out).copy_(from.bias.detach());
  }

  MlpWeights<T> weights_;
  tiles::Groups<MlpPass<T>> groups_;
};

}  // namespace

std::unique_ptr<FrozenNetwork> tile_mlp(at::ScalarType type) {
  if (type == at::kBFloat16) return std::make_unique<TiledMlp<tiles::Bf16>>();
  return std::make_unique<TiledMlp<float>>();
}

}  // namespace langrun
