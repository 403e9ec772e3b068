#include "core/tiles/convolution.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/torch.h"

namespace langrun::tiles {
namespace {

// Tiles (or pixels) of one product: enough rows for the micro-kernel, few enough that vectors and sums stay in cache.
constexpr int kRows = 64;

/// `size` values along dimension `dim`, zeros behind.
at::Tensor pad(const at::Tensor& x, std::int64_t dim, std::int64_t size) {
  auto sizes = x.sizes().vec();
  sizes[static_cast<std::size_t>(dim)] = size;
  auto wide = at::zeros(sizes, x.options());
  wide.narrow(dim, 0, x.size(dim)).copy_(x);
  return wide;
}

/// [out, in, k, k] float32 on the CPU with both channel counts padded.
template <class T>
at::Tensor pad_channels(const at::Tensor& weight) {
  const auto values = weight.detach().to(at::kCPU, at::kFloat);
  return pad(pad(values, 0, padded<T>(weight.size(0))), 1, padded<T>(weight.size(1)));
}

template <class T>
at::Tensor pad_bias(const at::Tensor& bias) {
  return bias.defined() ? pad(bias.detach().to(at::kCPU, at::kFloat), 0, padded<T>(bias.size(0))) : at::Tensor();
}

/// Winograd's transform of kernels [out, in, taps, taps]: [positions, in, out].
at::Tensor transformed(const at::Tensor& kernel) {
  const auto g = kernel.size(2) == 2
                     ? at::tensor({1., 0., 1., 1., 0., 1.}, at::kDouble).view({3, 2})
                     : at::tensor({1., 0., 0., .5, .5, .5, .5, -.5, .5, 0., 0., 1.}, at::kDouble).view({4, 3});
  const auto u = at::matmul(at::matmul(g, kernel.to(at::kDouble)), g.t());  // [out, in, side, side]
  return u.flatten(2).permute({2, 1, 0}).to(at::kFloat);
}

/// The taps of one parity of a kernel of 4x4.
at::Tensor taps(const at::Tensor& kernel, std::array<std::int64_t, 2> y, std::array<std::int64_t, 2> x) {
  return kernel.index_select(2, at::tensor({y[0], y[1]}, at::kLong))
      .index_select(3, at::tensor({x[0], x[1]}, at::kLong));
}

TilePlan three_by_three() {
  TilePlan plan;
  plan.from = {{-1, -1}};
  return plan;
}

template <class T>
TileProduct<T> forward_of(const at::Tensor& weight) {
  if (weight.size(2) == 3) return {three_by_three(), weight};
  // Results of a 4x4 kernel with stride 2 meet the input's four parities with 2x2 taps each: a convolution of 2x2 over
  // four times the channels.
  TilePlan plan;
  plan.taps = 2;
  plan.step = 2;
  std::vector<at::Tensor> parts;
  for (std::int64_t y = 0; y < 2; ++y)
    for (std::int64_t x = 0; x < 2; ++x) {
      plan.from.push_back({static_cast<int>(y) - 1, static_cast<int>(x) - 1});
      parts.push_back(taps(weight, {y, y + 2}, {x, x + 2}));
    }
  return {plan, at::cat(parts, 1)};
}

template <class T>
std::vector<TileProduct<T>> backward_of(const at::Tensor& weight) {
  const auto turned = weight.transpose(0, 1);
  std::vector<TileProduct<T>> products;
  if (weight.size(2) == 3) {
    products.emplace_back(three_by_three(), turned.flip({2, 3}));
    return products;
  }
  // An input pixel of one parity was met by 2x2 of the taps.
  constexpr std::array<std::array<std::int64_t, 2>, 2> kMet{{{3, 1}, {2, 0}}};
  for (std::size_t y = 0; y < 2; ++y)
    for (std::size_t x = 0; x < 2; ++x) {
      TilePlan plan;
      plan.taps = 2;
      plan.from = {{static_cast<int>(y) - 1, static_cast<int>(x) - 1}};
      plan.result_step = 2;
      plan.to = {static_cast<int>(y), static_cast<int>(x)};
      products.emplace_back(plan, taps(turned, kMet[y], kMet[x]));
    }
  return products;
}

/// Spot of result pixel (y, x) of image `number`, from channel `first` on.
template <class T>
Spot<T> spot_at(const Maps<T>& out, const Ending<T>& ending, int number, int y, int x, int first) {
  const auto& shape = out.shape;
  const auto place =
      static_cast<std::size_t>(number) * shape.size() + shape.place(y, x) + static_cast<std::size_t>(first);
  Spot<T> spot{out.data + place, nullptr, nullptr};
  if (ending.mask != nullptr) spot.mask = ending.mask + place;
  if (ending.add == nullptr) return spot;
  if (!ending.add_half) {
    spot.add = ending.add + place;
    return spot;
  }
  // Pooling leaves out an odd last row or column, so nothing comes back to it.
  const MapShape half{shape.height / 2, shape.width / 2, shape.channels};
  if (half.holds(y / 2, x / 2))
    spot.add = ending.add + static_cast<std::size_t>(number) * half.size() + half.place(y / 2, x / 2) +
               static_cast<std::size_t>(first);
  return spot;
}

Finish from_channel(Finish finish, int first) {
  if (finish.bias != nullptr) finish.bias += first;
  return finish;
}

}  // namespace

template <class T>
struct TileProduct<T>::Sides {
  int window, positions;  // pixels of a window's side; vectors of a tile
  int grid_y, grid_x;     // results of one image
  int tiles_y, tiles_x;   // tiles of one image
  std::size_t vector;     // numbers between two positions' rows
};

template <class T>
TileProduct<T>::TileProduct(TilePlan plan, const at::Tensor& kernel)
    : plan_(std::move(plan)), weights_(transformed(kernel)) {}

template <class T>
void TileProduct<T>::run(const Kernels<T>& kernels, const Maps<const T>& in, bool relu, const Maps<T>& out, int images,
                         const Ending<T>& ending, Scratch<T>& scratch) const {
  Sides sides{};
  sides.window = plan_.taps + 1;
  sides.positions = sides.window * sides.window;
  sides.grid_y = out.shape.height / plan_.result_step;
  sides.grid_x = out.shape.width / plan_.result_step;
  sides.tiles_y = (sides.grid_y + 1) / 2;
  sides.tiles_x = (sides.grid_x + 1) / 2;
  sides.vector = static_cast<std::size_t>(kRows) * static_cast<std::size_t>(weights_.depth());
  T* vectors = scratch.rows.at_least(static_cast<std::size_t>(sides.positions) * sides.vector);
  const auto sums_apart = static_cast<std::size_t>(kRows) * static_cast<std::size_t>(weights_.chunk());
  float* sums = scratch.sums.at_least(static_cast<std::size_t>(sides.positions) * sums_apart);

  const int tiles = images * sides.tiles_y * sides.tiles_x;
  for (int first = 0; first < tiles; first += kRows) {
    const int count = std::min(kRows, tiles - first);
    split(kernels, in, relu, first, count, scratch, sides);
    for (int chunk = 0; chunk < weights_.chunks(); ++chunk) {
      for (int p = 0; p < sides.positions; ++p)
        weights_.multiply(kernels, p, chunk, count, vectors + static_cast<std::size_t>(p) * sides.vector,
                          static_cast<std::size_t>(weights_.depth()), sums + static_cast<std::size_t>(p) * sums_apart);
      join(kernels, out, first, count, chunk, ending, scratch, sides);
    }
  }
}

template <class T>
void TileProduct<T>::split(const Kernels<T>& kernels, const Maps<const T>& in, bool relu, int first, int count,
                           Scratch<T>& scratch, const Sides& sides) const {
  const auto channels = static_cast<std::size_t>(in.shape.channels);
  const bool fresh = scratch.zeros.data() == nullptr;
  T* zeros = scratch.zeros.at_least(kMostChannels);
  if (fresh) std::fill_n(zeros, kMostChannels, T{});
  for (int row = 0; row < count; ++row) {
    const int tile = first + row, within = tile % (sides.tiles_y * sides.tiles_x);
    const T* image = in.image(tile / (sides.tiles_y * sides.tiles_x));
    const int top = plan_.step * 2 * (within / sides.tiles_x), left = plan_.step * 2 * (within % sides.tiles_x);
    T* to = scratch.rows.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(weights_.depth());
    for (const auto& from : plan_.from) {
      const T* window[16];
      for (int i = 0; i < sides.window; ++i) {
        for (int j = 0; j < sides.window; ++j) {
          const int y = top + from.y + plan_.step * i, x = left + from.x + plan_.step * j;
          window[sides.window * i + j] = in.shape.holds(y, x) ? image + in.shape.place(y, x) : zeros;
        }
      }
      (plan_.taps == 2 ? kernels.split2 : kernels.split3)(window, in.shape.channels, relu, to, sides.vector);
      to += channels;
    }
  }
}

template <class T>
void TileProduct<T>::join(const Kernels<T>& kernels, const Maps<T>& out, int first, int count, int chunk,
                          const Ending<T>& ending, const Scratch<T>& scratch, const Sides& sides) const {
  const int from = chunk * weights_.chunk();
  const auto finish = from_channel(ending.finish, from);
  const auto apart = static_cast<std::size_t>(kRows) * static_cast<std::size_t>(weights_.chunk());
  for (int row = 0; row < count; ++row) {
    const int tile = first + row, within = tile % (sides.tiles_y * sides.tiles_x);
    const int top = 2 * (within / sides.tiles_x), left = 2 * (within % sides.tiles_x);
    Spot<T> spots[4];
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 2; ++j)
        if (top + i < sides.grid_y && left + j < sides.grid_x)
          spots[2 * i + j] =
              spot_at(out, ending, tile / (sides.tiles_y * sides.tiles_x), plan_.result_step * (top + i) + plan_.to.y,
                      plan_.result_step * (left + j) + plan_.to.x, from);
    const float* sums =
        scratch.sums.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(weights_.chunk());
    (plan_.taps == 2 ? kernels.join2 : kernels.join3)(sums, apart, weights_.chunk(), finish, spots);
  }
}

template <class T>
Convolution<T>::Convolution(const at::Tensor& weight, const at::Tensor& bias)
    : kernel_(static_cast<int>(weight.size(2))), channels_(padded<T>(weight.size(0))), bias_(pad_bias<T>(bias)) {
  const auto wide = pad_channels<T>(weight);
  if (wide.size(0) > kMostChannels || wide.size(1) > kMostChannels)
    throw Error(ExitCode::internal, "a convolution of more channels than tiles hold");
  if (kernel_ == 1) {
    across_ = PackedMatrices<T>(wide.flatten(1).t().unsqueeze(0).contiguous());
    back_ = PackedMatrices<T>(wide.flatten(1).unsqueeze(0).contiguous());
    return;
  }
  if (kernel_ != 3 && kernel_ != 4) throw Error(ExitCode::internal, "tiles know kernels of 1x1, 3x3 and 4x4");
  forward_.push_back(forward_of<T>(wide));
  backward_ = backward_of<T>(wide);
}

template <class T>
MapShape Convolution<T>::result(const MapShape& in) const {
  const int step = kernel_ == 4 ? 2 : 1;
  return {in.height / step, in.width / step, channels_};
}

template <class T>
void Convolution<T>::forward(const Kernels<T>& kernels, const Maps<const T>& in, bool relu, const Maps<T>& out,
                             int images, Ending<T> ending, Scratch<T>& scratch) const {
  ending.finish.bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr;
  if (kernel_ == 1)
    rows(kernels, across_, in, relu, out, images, ending, scratch);
  else
    forward_.front().run(kernels, in, relu, out, images, ending, scratch);
}

template <class T>
void Convolution<T>::backward(const Kernels<T>& kernels, const Maps<const T>& gradient, const Maps<T>& out, int images,
                              const Ending<T>& ending, Scratch<T>& scratch) const {
  if (kernel_ == 1) return rows(kernels, back_, gradient, false, out, images, ending, scratch);
  for (const auto& product : backward_) product.run(kernels, gradient, false, out, images, ending, scratch);
}

template <class T>
void Convolution<T>::rows(const Kernels<T>& kernels, const PackedMatrices<T>& weights, const Maps<const T>& in,
                          bool relu, const Maps<T>& out, int images, const Ending<T>& ending,
                          Scratch<T>& scratch) const {
  const auto depth = static_cast<std::size_t>(weights.depth()), width = static_cast<std::size_t>(out.shape.channels);
  const int per_image = static_cast<int>(in.shape.pixels()), all = images * per_image;
  float* sums = scratch.sums.at_least(static_cast<std::size_t>(kRows * weights.chunk()));
  for (int first = 0; first < all; first += kRows) {
    const int count = std::min(kRows, all - first);
    const T* a = in.data + static_cast<std::size_t>(first) * depth;
    if (relu) {
      T* positive = scratch.rows.at_least(static_cast<std::size_t>(kRows) * depth);
      kernels.copy(a, static_cast<std::size_t>(count) * depth, true, positive);
      a = positive;
    }
    for (int chunk = 0; chunk < weights.chunks(); ++chunk) {
      weights.multiply(kernels, 0, chunk, count, a, depth, sums);
      const int from = chunk * weights.chunk();
      const auto finish = from_channel(ending.finish, from);
      // All rows at once, whose places in `out`, mask and `add` follow each other; pixel by pixel where `add` is
      // half-sized, since four pixels share one of its.
      for (int row = 0; row < count; ++row) {
        const int pixel = (first + row) % per_image;
        const auto spot =
            spot_at(out, ending, (first + row) / per_image, pixel / out.shape.width, pixel % out.shape.width, from);
        const int together = ending.add_half ? 1 : count - row;
        kernels.finish_rows(sums + row * weights.chunk(), static_cast<std::size_t>(weights.chunk()), together,
                            weights.chunk(), finish, spot, width);
        row += together - 1;
      }
    }
  }
}

template <class T>
ImageConvolution<T>::ImageConvolution(const at::Tensor& weight, const at::Tensor& bias) : bias_(pad_bias<T>(bias)) {
  const auto wide = pad(weight.detach().to(at::kCPU, at::kFloat), 0, padded<T>(weight.size(0)));
  // [out, (y, x, c)] with 27 numbers padded to 32, as Kernels::windows lays them out.
  const auto columns = pad(wide.permute({0, 2, 3, 1}).flatten(1), 1, kWindow);
  weights_ = PackedMatrices<T>(columns.t().unsqueeze(0).contiguous());
  // Result pixel (y, x) was reached by image pixel (y + i - 1, x + j - 1) through tap (i, j).
  back_ = PackedMatrices<T>(columns.unsqueeze(0).contiguous());
}

template <class T>
void ImageConvolution<T>::forward(const Kernels<T>& kernels, const float* image, const Maps<T>& out, int number,
                                  Finish finish, Scratch<T>& scratch) const {
  finish.bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr;
  const int height = out.shape.height, width = out.shape.width;
  const auto pitch = static_cast<std::size_t>((width + 2) * 3 + 31) / 16 * 16;
  T* bordered = scratch.image.at_least(pitch * static_cast<std::size_t>(height + 2));
  kernels.pad_image(image, height, width, bordered, pitch);
  T* windows = scratch.rows.at_least(static_cast<std::size_t>(kRows * kWindow));
  float* sums = scratch.sums.at_least(static_cast<std::size_t>(kRows * weights_.chunk()));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; x += kRows) {
      const int count = std::min(kRows, width - x);
      kernels.windows(bordered + static_cast<std::size_t>(y) * pitch + static_cast<std::size_t>(3 * x), pitch, count,
                      windows);
      for (int chunk = 0; chunk < weights_.chunks(); ++chunk) {
        const int from = chunk * weights_.chunk();
        weights_.multiply(kernels, 0, chunk, count, windows, kWindow, sums);
        const Spot<T> first{out.image(number) + out.shape.place(y, x) + from, nullptr, nullptr};
        kernels.finish_rows(sums, static_cast<std::size_t>(weights_.chunk()), count, weights_.chunk(),
                            from_channel(finish, from), first, static_cast<std::size_t>(out.shape.channels));
      }
    }
  }
}

template <class T>
void ImageConvolution<T>::backward(const Kernels<T>& kernels, const Maps<const T>& gradient, int number,
                                   float* image_gradient, Scratch<T>& scratch) const {
  const auto& shape = gradient.shape;
  std::fill_n(image_gradient, shape.pixels() * 3, 0.0f);
  float* columns = scratch.sums.at_least(static_cast<std::size_t>(shape.width) * kWindow);
  for (int y = 0; y < shape.height; ++y) {
    back_.multiply(kernels, 0, 0, shape.width, gradient.image(number) + shape.place(y, 0),
                   static_cast<std::size_t>(shape.channels), columns);
    add_windows(columns, y, shape.height, shape.width, image_gradient);
  }
}

template class TileProduct<float>;
template class TileProduct<Bf16>;
template class Convolution<float>;
template class Convolution<Bf16>;
template class ImageConvolution<float>;
template class ImageConvolution<Bf16>;

}  // namespace langrun::tiles
