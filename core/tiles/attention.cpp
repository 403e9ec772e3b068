#include "core/tiles/attention.h"

#include <algorithm>

#include "core/error.h"
#include "core/torch.h"

namespace langrun::tiles {
namespace {

// Pixels whose attention is at work at a time.
constexpr int kRows = 64;

std::size_t area(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

/// bfloat16 products take two neighbours at once.
template <class T>
constexpr int kPair = sizeof(float) / sizeof(T);

int chunk_of(int columns) {
  for (const int width : {64, 48, 32})
    if (columns % width == 0) return width;
  return 16;
}

float value_of(float x) { return x; }
float value_of(Bf16 x) {
  const std::uint32_t bits = std::uint32_t{x.bits} << 16;
  float value = 0;
  static_assert(sizeof value == sizeof bits);
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

/// The right-hand side [depth, columns] of products in chunks of `chunk` columns, from its rows: PackedMatrices'
/// layout.
template <class T>
void pack(const T* rows, int depth, int columns, std::size_t pitch, int chunk, T* out) {
  for (int c = 0; c < columns; c += chunk)
    for (int k = 0; k < depth; k += kPair<T>)
      for (int n = 0; n < chunk; ++n)
        for (int j = 0; j < kPair<T>; ++j)
          *out++ = rows[static_cast<std::size_t>(k + j) * pitch + static_cast<std::size_t>(c + n)];
}

/// The same of the transpose: right-hand side [depth, columns] from rows [count, depth], zeros for columns from
/// `count`.
template <class T>
void pack_turned(const T* rows, int count, int depth, int columns, int chunk, T* out) {
  for (int c = 0; c < columns; c += chunk)
    for (int k = 0; k < depth; k += kPair<T>)
      for (int n = 0; n < chunk; ++n)
        for (int j = 0; j < kPair<T>; ++j)
          *out++ = c + n < count ? rows[area(c + n, depth) + static_cast<std::size_t>(k + j)] : T{};
}

/// The right-hand side [kRows, columns] from `rows` rows, zeros behind them.
template <class T>
void pack_rows(const T* rows, int count, int columns, T* out) {
  const int chunk = chunk_of(columns);
  for (int c = 0; c < columns; c += chunk)
    for (int k = 0; k < kRows; k += kPair<T>)
      for (int n = 0; n < chunk; ++n)
        for (int j = 0; j < kPair<T>; ++j)
          *out++ = k + j < count ? rows[area(k + j, columns) + static_cast<std::size_t>(c + n)] : T{};
}

/// out [columns, kRows] = in [rows, columns] turned, zeros behind the last row.
template <class T>
void turn(const T* in, int rows, int columns, T* out) {
  constexpr int kBlock = 32;
  for (int from = 0; from < columns; from += kBlock)
    for (int r = 0; r < kRows; ++r)
      for (int c = from; c < std::min(from + kBlock, columns); ++c)
        out[area(c, kRows) + static_cast<std::size_t>(r)] =
            r < rows ? in[area(r, columns) + static_cast<std::size_t>(c)] : T{};
}

/// 2x2 maxima of a map.
template <class T>
void pool(const T* in, const MapShape& shape, T* out) {
  for (int y = 0; y < shape.height; y += 2)
    for (int x = 0; x < shape.width; x += 2, out += shape.channels)
      for (int c = 0; c < shape.channels; ++c) {
        out[c] = in[shape.place(y, x) + static_cast<std::size_t>(c)];
        for (const auto place : {shape.place(y, x + 1), shape.place(y + 1, x), shape.place(y + 1, x + 1)}) {
          const T other = in[place + static_cast<std::size_t>(c)];
          if (value_of(other) > value_of(out[c])) out[c] = other;
        }
      }
}

/// Back through `pool`: each slope to the first of its four places that held the maximum.
template <class T>
void pool_back(const T* in, const MapShape& shape, const float* slopes, T* out, const Kernels<T>& kernels,
               float* scratch) {
  std::fill_n(scratch, shape.size(), 0.0f);
  for (int y = 0; y < shape.height; y += 2)
    for (int x = 0; x < shape.width; x += 2, slopes += shape.channels)
      for (int c = 0; c < shape.channels; ++c) {
        auto best = shape.place(y, x) + static_cast<std::size_t>(c);
        for (const auto place : {shape.place(y, x + 1), shape.place(y + 1, x), shape.place(y + 1, x + 1)})
          if (value_of(in[place + static_cast<std::size_t>(c)]) > value_of(in[best]))
            best = place + static_cast<std::size_t>(c);
        scratch[best] = slopes[c];
      }
  const auto channels = static_cast<std::size_t>(shape.channels);
  kernels.finish_rows(scratch, channels, static_cast<int>(shape.pixels()), shape.channels, {}, {out, nullptr, nullptr},
                      channels);
}

/// Rows [rows, columns] of a product with a packed right-hand side, added to sums [rows, columns].
template <class T>
void add_product(const Kernels<T>& kernels, const T* a, int rows, int depth, const T* packed, int columns,
                 float* products, float* sums) {
  const int chunk = chunk_of(columns);
  for (int first = 0; first < rows; first += kRows) {
    const int count = std::min(kRows, rows - first);
    for (int c = 0; c < columns; c += chunk) {
      kernels.multiply(count, chunk, depth, a + area(first, depth), static_cast<std::size_t>(depth),
                       packed + area(c, depth), products);
      for (int r = 0; r < count; ++r)
        for (int n = 0; n < chunk; ++n)
          sums[area(first + r, columns) + static_cast<std::size_t>(c + n)] += products[r * chunk + n];
    }
  }
}

/// Rows of a product, rounded, to out [rows, columns].
template <class T>
void product(const Kernels<T>& kernels, const T* a, int rows, int depth, const T* packed, int columns, float* products,
             T* out) {
  const int chunk = chunk_of(columns);
  for (int c = 0; c < columns; c += chunk) {
    kernels.multiply(rows, chunk, depth, a, static_cast<std::size_t>(depth), packed + area(c, depth), products);
    kernels.finish_rows(products, static_cast<std::size_t>(chunk), rows, chunk, {}, {out + c, nullptr, nullptr},
                        static_cast<std::size_t>(columns));
  }
}

}  // namespace

template <class T>
AttentionWeights<T>::AttentionWeights(const at::Tensor& theta_kernel, const at::Tensor& phi_kernel,
                                      const at::Tensor& g_kernel, const at::Tensor& o_kernel, const at::Tensor& gamma)
    : theta(theta_kernel, {}), phi(phi_kernel, {}), g(g_kernel, {}), o(o_kernel.detach() * gamma.detach(), {}) {}

template <class T>
AttentionPass<T>::AttentionPass(const AttentionWeights<T>& weights, const MapShape& shape)
    : weights_(weights), shape_(shape), narrow_(weights.theta.result(shape)), broad_(weights.g.result(shape)),
      keys_(static_cast<int>(shape.pixels() / 4)), columns_((keys_ + kPiece - 1) / kPiece * kPiece) {
  if (shape.height % 2 != 0 || shape.width % 2 != 0 || keys_ % 16 != 0)
    throw Error(ExitCode::internal, "attention on tiles wants maps whose halves have whole vectors of pixels");
}

template <class T>
Maps<T> AttentionPass<T>::maps(Buffer<T>& buffer, const MapShape& shape, int images) {
  return {buffer.at_least(static_cast<std::size_t>(images) * shape.size()), shape};
}

template <class T>
void AttentionPass<T>::forward(const Kernels<T>& kernels, const Maps<const T>& x, const Maps<T>& out, int images,
                               Scratch<T>& scratch) {
  weights_.theta.forward(kernels, x, false, maps(theta_, narrow_, images), images, {}, scratch);
  weights_.phi.forward(kernels, x, false, maps(phi_, narrow_, images), images, {}, scratch);
  weights_.g.forward(kernels, x, false, maps(g_, broad_, images), images, {}, scratch);
  const auto mixed = maps(mixed_, broad_, images);
  for (int i = 0; i < images; ++i) attend(kernels, i);
  Ending<T> sum;
  sum.add = x.data;
  weights_.o.forward(kernels, {mixed.data, broad_}, false, out, images, sum, scratch);
}

template <class T>
void AttentionPass<T>::backward(const Kernels<T>& kernels, const Maps<const T>& gradient, const Maps<T>& out,
                                int images, Scratch<T>& scratch) {
  weights_.o.backward(kernels, gradient, maps(mixed_slope_, broad_, images), images, {}, scratch);
  const auto theta = maps(theta_slope_, narrow_, images), phi = maps(phi_slope_, narrow_, images),
             g = maps(g_slope_, broad_, images);
  for (int i = 0; i < images; ++i) attend_back(kernels, i);
  Ending<T> sum;
  sum.add = gradient.data;
  weights_.theta.backward(kernels, {theta.data, narrow_}, out, images, sum, scratch);
  sum.add = out.data;  // each pixel is read before it is written
  weights_.phi.backward(kernels, {phi.data, narrow_}, out, images, sum, scratch);
  weights_.g.backward(kernels, {g.data, broad_}, out, images, sum, scratch);
}

template <class T>
void AttentionPass<T>::wide_product(const Kernels<T>& kernels, const T* a, int rows, int depth, const T* packed,
                                    float* sums) const {
  for (int c = 0; c < columns_; c += kPiece)
    kernels.multiply(rows, kPiece, depth, a, static_cast<std::size_t>(depth), packed + area(c, depth),
                     sums + area(c, kRows));
}

// Softmax of the rows of theta against all keys: in sums_ as float32, in rows_ as T.
template <class T>
void AttentionPass<T>::probabilities(const Kernels<T>& kernels, const T* theta, int rows) {
  float* sums = sums_.at_least(area(kRows, columns_));
  T* out = rows_.at_least(area(kRows, columns_));
  wide_product(kernels, theta, rows, narrow_.channels, keys_turned_.data(), sums);
  for (int r = 0; r < rows; ++r)
    kernels.softmax(sums + r * kPiece, area(kRows, kPiece), keys_, columns_, out + area(r, columns_));
}

template <class T>
void AttentionPass<T>::attend(const Kernels<T>& kernels, int image) {
  const auto at = static_cast<std::size_t>(image);
  T* keys = keys_rows_.at_least(area(columns_, narrow_.channels));
  T* values = values_rows_.at_least(area(columns_, broad_.channels));
  std::fill_n(values, area(columns_, broad_.channels), T{});
  pool(phi_.data() + at * narrow_.size(), narrow_, keys);
  pool(g_.data() + at * broad_.size(), broad_, values);
  pack_turned(keys, keys_, narrow_.channels, columns_, kPiece, keys_turned_.at_least(area(columns_, narrow_.channels)));
  pack(values, columns_, broad_.channels, static_cast<std::size_t>(broad_.channels), chunk_of(broad_.channels),
       values_packed_.at_least(area(columns_, broad_.channels)));
  float* products = products_.at_least(area(kRows, kPiece));
  const int pixels = static_cast<int>(shape_.pixels());
  for (int first = 0; first < pixels; first += kRows) {
    const int rows = std::min(kRows, pixels - first);
    probabilities(kernels, theta_.data() + at * narrow_.size() + area(first, narrow_.channels), rows);
    product(kernels, rows_.data(), rows, columns_, values_packed_.data(), broad_.channels, products,
            mixed_.data() + at * broad_.size() + area(first, broad_.channels));
  }
}

template <class T>
void AttentionPass<T>::attend_back(const Kernels<T>& kernels, int image) {
  const auto at = static_cast<std::size_t>(image);
  const int narrow = narrow_.channels, broad = broad_.channels, pixels = static_cast<int>(shape_.pixels());
  T* keys = keys_rows_.at_least(area(columns_, narrow));
  T* values = values_rows_.at_least(area(columns_, broad));
  std::fill_n(keys, area(columns_, narrow), T{});
  pool(phi_.data() + at * narrow_.size(), narrow_, keys);
  pool(g_.data() + at * broad_.size(), broad_, values);
  pack_turned(keys, keys_, narrow, columns_, kPiece, keys_turned_.at_least(area(columns_, narrow)));
  pack_turned(values, keys_, broad, columns_, kPiece, values_turned_.at_least(area(columns_, broad)));
  pack(keys, columns_, narrow, static_cast<std::size_t>(narrow), chunk_of(narrow),
       keys_packed_.at_least(area(columns_, narrow)));

  float* slopes = slopes_.at_least(area(kRows, columns_));
  float* products = products_.at_least(area(kRows, kPiece));
  float* keys_sum = keys_sum_.at_least(narrow_.size());
  float* values_sum = values_sum_.at_least(broad_.size());
  std::fill_n(keys_sum, area(columns_, narrow), 0.0f);
  std::fill_n(values_sum, area(columns_, broad), 0.0f);
  T* turned = turned_.at_least(area(columns_, kRows));
  T* piece = piece_.at_least(area(kRows, std::max(narrow, broad)));
  for (int first = 0; first < pixels; first += kRows) {
    const int rows = std::min(kRows, pixels - first);
    const T* theta = theta_.data() + at * narrow_.size() + area(first, narrow);
    const T* slope = mixed_slope_.data() + at * broad_.size() + area(first, broad);
    probabilities(kernels, theta, rows);
    // Values: probabilities turned, times the slopes of what they mixed.
    turn(rows_.data(), rows, columns_, turned);
    pack_rows(slope, rows, broad, piece);
    add_product(kernels, turned, keys_, kRows, piece, broad, products, values_sum);
    // Scores, then theta and keys.
    wide_product(kernels, slope, rows, broad, values_turned_.data(), slopes);
    for (int r = 0; r < rows; ++r)
      kernels.softmax_slope(sums_.data() + r * kPiece, slopes + r * kPiece, area(kRows, kPiece), keys_, columns_,
                            rows_.data() + area(r, columns_));
    product(kernels, rows_.data(), rows, columns_, keys_packed_.data(), narrow, products,
            theta_slope_.data() + at * narrow_.size() + area(first, narrow));
    turn(rows_.data(), rows, columns_, turned);
    pack_rows(theta, rows, narrow, piece);
    add_product(kernels, turned, keys_, kRows, piece, narrow, products, keys_sum);
  }
  float* scratch = sums_.at_least(std::max(narrow_.size(), broad_.size()));
  pool_back(phi_.data() + at * narrow_.size(), narrow_, keys_sum, phi_slope_.data() + at * narrow_.size(), kernels,
            scratch);
  pool_back(g_.data() + at * broad_.size(), broad_, values_sum, g_slope_.data() + at * broad_.size(), kernels, scratch);
}

template struct AttentionWeights<float>;
template struct AttentionWeights<Bf16>;
template class AttentionPass<float>;
template class AttentionPass<Bf16>;

}  // namespace langrun::tiles
