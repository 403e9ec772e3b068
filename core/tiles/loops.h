// The routines of kernels.h for any vector type. Included by the kernels_*.cpp files alone.
#pragma once

#include "core/tiles/kernels.h"

namespace langrun::tiles {

/// Routines over V: `V::Vector` of V::kLanes floats with zero, splat, add, sub, mul, div, fma, larger (the second where
/// one is not a number), positive_or(mask, x, y): x where mask > 0, else y; and V::load, V::store for each number type
/// T.
template <class V, class T>
struct Loops {
  using Vector = typename V::Vector;
  static constexpr int kLanes = V::kLanes;

  /// A block of kRows x kVectors sums, all of them in registers over the whole depth.
  template <int kRows, int kVectors>
  static void block(int depth, const T* a, std::size_t pitch, const T* weights, int width, float* sums) {
    Vector total[kRows][kVectors];
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) total[r][v] = V::zero();
    for (int k = 0; k < depth; k += V::template depth_of<T>()) {
      typename V::template Operand<T> column[kVectors];
      for (int v = 0; v < kVectors; ++v)
        column[v] = V::weights(weights + (k * width) + v * kLanes * V::template depth_of<T>());
#pragma GCC unroll 32
      for (int r = 0; r < kRows; ++r) {
        const auto value = V::repeated(a + static_cast<std::size_t>(r) * pitch + k);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) total[r][v] = V::product(value, column[v], total[r][v]);
      }
    }
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) V::store(sums + r * width + v * kLanes, total[r][v]);
  }

  /// kVectors neighbouring vectors of columns for any number of rows, at most kRows at a time.
  template <int kRows, int kVectors>
  static void strip(int rows, int depth, const T* a, std::size_t pitch, const T* weights, int width, float* sums) {
    for (; rows >= kRows; rows -= kRows, a += kRows * pitch, sums += kRows * width)
      block<kRows, kVectors>(depth, a, pitch, weights, width, sums);
    if constexpr (kRows > 1) strip<kRows * 2 / 3, kVectors>(rows, depth, a, pitch, weights, width, sums);
  }

  static void multiply(int rows, int width, int depth, const T* a, std::size_t pitch, const T* weights, float* sums) {
    // As many rows as the registers hold beside the weights.
    constexpr int kPair = V::template depth_of<T>();
    int v = 0;
    const int vectors = width / kLanes;
    for (; v + V::kVectors <= vectors; v += V::kVectors)
      strip<V::kRows, V::kVectors>(rows, depth, a, pitch, weights + v * kLanes * kPair, width, sums + v * kLanes);
    for (; v + 2 <= vectors; v += 2)
      strip<V::kRows2, 2>(rows, depth, a, pitch, weights + v * kLanes * kPair, width, sums + v * kLanes);
    if (v < vectors) strip<V::kRows1, 1>(rows, depth, a, pitch, weights + v * kLanes * kPair, width, sums + v * kLanes);
  }

  static void nothing() {}

  static Vector take(const T* from, bool relu) {
    const Vector x = V::load(from);
    return relu ? V::larger(V::zero(), x) : x;
  }

  static void split2(const T* const* window, int channels, bool relu, T* out, std::size_t stride) {
    for (int c = 0; c < channels; c += kLanes) {
      Vector rows[3][3];  // differences of rows, then of columns
      for (int j = 0; j < 3; ++j) {
        const Vector top = take(window[j] + c, relu), middle = take(window[3 + j] + c, relu),
                     bottom = take(window[6 + j] + c, relu);
        rows[0][j] = V::sub(top, middle);
        rows[1][j] = middle;
        rows[2][j] = V::sub(middle, bottom);
      }
      for (int i = 0; i < 3; ++i) {
        V::store(out + (3 * i) * stride + c, V::sub(rows[i][0], rows[i][1]));
        V::store(out + (3 * i + 1) * stride + c, rows[i][1]);
        V::store(out + (3 * i + 2) * stride + c, V::sub(rows[i][1], rows[i][2]));
      }
    }
  }

  static void join2(const float* sums, std::size_t stride, int channels, const Finish& finish, const Spot<T>* spots) {
    for (int c = 0; c < channels; c += kLanes) {
      Vector rows[2][3];
      for (int j = 0; j < 3; ++j) {
        const Vector middle = V::load(sums + (3 + j) * stride + c);
        rows[0][j] = V::add(V::load(sums + j * stride + c), middle);
        rows[1][j] = V::sub(middle, V::load(sums + (6 + j) * stride + c));
      }
      for (int i = 0; i < 2; ++i) {
        end(V::add(rows[i][0], rows[i][1]), c, finish, spots[2 * i]);
        end(V::sub(rows[i][1], rows[i][2]), c, finish, spots[2 * i + 1]);
      }
    }
  }

  static void split3(const T* const* window, int channels, bool relu, T* out, std::size_t stride) {
    for (int c = 0; c < channels; c += kLanes) {
      Vector rows[4][4];
      for (int j = 0; j < 4; ++j) {
        Vector d[4];
        for (int i = 0; i < 4; ++i) d[i] = take(window[4 * i + j] + c, relu);
        rows[0][j] = V::sub(d[0], d[2]);
        rows[1][j] = V::add(d[1], d[2]);
        rows[2][j] = V::sub(d[2], d[1]);
        rows[3][j] = V::sub(d[1], d[3]);
      }
      for (int i = 0; i < 4; ++i) {
        T* to = out + (4 * i) * stride + c;
        V::store(to, V::sub(rows[i][0], rows[i][2]));
        V::store(to + stride, V::add(rows[i][1], rows[i][2]));
        V::store(to + 2 * stride, V::sub(rows[i][2], rows[i][1]));
        V::store(to + 3 * stride, V::sub(rows[i][1], rows[i][3]));
      }
    }
  }

  static void join3(const float* sums, std::size_t stride, int channels, const Finish& finish, const Spot<T>* spots) {
    for (int c = 0; c < channels; c += kLanes) {
      Vector rows[2][4];
      for (int j = 0; j < 4; ++j) {
        Vector m[4];
        for (int i = 0; i < 4; ++i) m[i] = V::load(sums + (4 * i + j) * stride + c);
        rows[0][j] = V::add(V::add(m[0], m[1]), m[2]);
        rows[1][j] = V::sub(V::sub(m[1], m[2]), m[3]);
      }
      for (int i = 0; i < 2; ++i) {
        end(V::add(V::add(rows[i][0], rows[i][1]), rows[i][2]), c, finish, spots[2 * i]);
        end(V::sub(V::sub(rows[i][1], rows[i][2]), rows[i][3]), c, finish, spots[2 * i + 1]);
      }
    }
  }

  static void end(Vector sum, int c, const Finish& finish, const Spot<T>& spot) {
    if (spot.out == nullptr) return;
    if (finish.bias != nullptr) sum = V::add(sum, V::load(finish.bias + c));
    if (finish.slope != 1) sum = V::positive_or(sum, sum, V::mul(sum, V::splat(finish.slope)));
    if (finish.mask_slope != 1)
      sum = V::positive_or(V::load(spot.mask + c), sum, V::mul(sum, V::splat(finish.mask_slope)));
    if (spot.add != nullptr) sum = V::fma(V::load(spot.add + c), V::splat(finish.add_scale), sum);
    V::store(spot.out + c, sum);
  }

  static void finish_rows(const float* sums, std::size_t pitch, int rows, int channels, const Finish& finish,
                          Spot<T> first, std::size_t out_pitch) {
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < channels; c += kLanes) end(V::load(sums + r * pitch + c), c, finish, first);
      first.out += out_pitch;
      if (first.mask != nullptr) first.mask += out_pitch;
      if (first.add != nullptr) first.add += out_pitch;
    }
  }

  static void pad_image(const float* image, int height, int width, T* out, std::size_t pitch) {
    __builtin_memset(out, 0, pitch * static_cast<std::size_t>(height + 2) * sizeof(T));
    for (int y = 0; y < height; ++y) {
      const float* from = image + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
      T* to = out + static_cast<std::size_t>(y + 1) * pitch + 3;
      int i = 0;
      for (; i + kLanes <= 3 * width; i += kLanes) V::store(to + i, V::load(from + i));
      for (; i < 3 * width; ++i) V::store_one(to + i, from[i]);
    }
  }

  static void windows(const T* row, std::size_t pitch, int count, T* out) {
    // Each row of a window is 9 numbers; 16 are copied, and the next row, or the next window, covers the rest. What
    // remains behind the 27th meets weights of zero.
    for (int i = 0; i < count; ++i, row += 3, out += 32) {
      __builtin_memcpy(out, row, 16 * sizeof(T));
      __builtin_memcpy(out + 9, row + pitch, 16 * sizeof(T));
      __builtin_memcpy(out + 18, row + 2 * pitch, 14 * sizeof(T));
    }
  }

  static void copy(const T* in, std::size_t count, bool relu, T* out) {
    for (std::size_t i = 0; i < count; i += kLanes) V::store(out + i, take(in + i, relu));
  }

  static void to_floats(const T* in, std::size_t count, float* out) {
    for (std::size_t i = 0; i < count; i += kLanes) V::store(out + i, V::load(in + i));
  }

  static void average(const T* in, int height, int width, int channels, T* out) {
    const auto pixel = static_cast<std::size_t>(channels), line = pixel * static_cast<std::size_t>(width);
    for (int y = 0; y + 1 < height; y += 2) {
      for (int x = 0; x + 1 < width; x += 2) {
        const T* at = in + static_cast<std::size_t>(y) * line + static_cast<std::size_t>(x) * pixel;
        for (int c = 0; c < channels; c += kLanes)
          V::store(out + c, V::mul(V::add(V::add(V::load(at + c), V::load(at + pixel + c)),
                                          V::add(V::load(at + line + c), V::load(at + line + pixel + c))),
                                   V::splat(0.25f)));
        out += pixel;
      }
    }
  }

  static void spread(const T* in, const T* mask, int height, int width, int channels, T* out) {
    const auto pixel = static_cast<std::size_t>(channels);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x, out += pixel, mask += pixel) {
        const bool met = y / 2 < height / 2 && x / 2 < width / 2;
        const T* at = in + static_cast<std::size_t>((y / 2) * (width / 2) + x / 2) * pixel;
        for (int c = 0; c < channels; c += kLanes)
          V::store(out + c, met ? V::positive_or(V::load(mask + c), V::mul(V::load(at + c), V::splat(0.25f)), V::zero())
                                : V::zero());
      }
    }
  }

  static void silu(const float* sums, std::size_t pitch, int rows, int channels, const float* bias, T* out, T* slope) {
    const Vector one = V::splat(1.0f);
    for (int r = 0; r < rows; ++r, sums += pitch, out += channels, slope += channels)
      for (int c = 0; c < channels; c += kLanes) {
        const Vector v = V::add(V::load(sums + c), V::load(bias + c));
        const Vector minus = V::sub(V::zero(), v);
        // exp of a number that is not positive, so nothing overflows.
        const Vector e = exponential(V::sub(V::zero(), V::larger(v, minus)));
        const Vector near_one = V::div(one, V::add(one, e));
        const Vector share = V::positive_or(v, near_one, V::mul(e, near_one));
        V::store(out + c, V::mul(v, share));
        V::store(slope + c, V::mul(share, V::fma(v, V::sub(one, share), one)));
      }
  }

  static void times_slope(const float* sums, std::size_t pitch, int rows, int channels, const T* slope, T* out) {
    for (int r = 0; r < rows; ++r, sums += pitch, out += channels, slope += channels)
      for (int c = 0; c < channels; c += kLanes) V::store(out + c, V::mul(V::load(sums + c), V::load(slope + c)));
  }

  /// Number c of a row in pieces.
  template <class Float>
  static Float* in_pieces(Float* row, std::size_t stride, int c) {
    return row + static_cast<std::size_t>(c / kPiece) * stride + c % kPiece;
  }

  static void softmax(float* row, std::size_t stride, int count, int columns, T* out) {
    Vector most = V::load(row);
    for (int c = kLanes; c < count; c += kLanes) most = V::larger(most, V::load(in_pieces(row, stride, c)));
    const Vector largest = V::splat(V::most(most));
    Vector sum = V::zero();
    for (int c = 0; c < count; c += kLanes) {
      float* at = in_pieces(row, stride, c);
      const Vector power = exponential(V::sub(V::load(at), largest));
      V::store(at, power);
      sum = V::add(sum, power);
    }
    const Vector share = V::splat(1.0f / V::total(sum));
    for (int c = 0; c < columns; c += kLanes) {
      float* at = in_pieces(row, stride, c);
      const Vector probability = c < count ? V::mul(V::load(at), share) : V::zero();
      V::store(at, probability);
      V::store(out + c, probability);
    }
  }

  /// exp(x) for x <= 0 to 2 units in the last place: 2^n times a polynomial of degree 6 on [-ln 2 / 2, ln 2 / 2].
  static Vector exponential(Vector x) {
    x = V::larger(x, V::splat(-87.0f));
    const Vector n = V::nearest(V::mul(x, V::splat(1.44269504f)));
    const Vector r = V::fma(n, V::splat(1.90821493e-10f), V::fma(n, V::splat(-0.693147181f), x));
    Vector p = V::splat(1.0f / 720);
    const float coefficients[] = {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    for (const float c : coefficients) p = V::fma(p, r, V::splat(c));
    return V::times_power_of_two(p, n);
  }

  static void softmax_slope(const float* probabilities, const float* slopes, std::size_t stride, int count, int columns,
                            T* out) {
    Vector sum = V::zero();
    for (int c = 0; c < count; c += kLanes)
      sum = V::fma(V::load(in_pieces(probabilities, stride, c)), V::load(in_pieces(slopes, stride, c)), sum);
    const Vector mean = V::splat(V::total(sum));
    for (int c = 0; c < columns; c += kLanes)
      V::store(out + c, c < count ? V::mul(V::load(in_pieces(probabilities, stride, c)),
                                           V::sub(V::load(in_pieces(slopes, stride, c)), mean))
                                  : V::zero());
  }

  static float weighted_sum(const T* in, int pixels, int channels, const float* weights, bool weights_per_pixel,
                            bool relu) {
    Vector sum = V::zero();
    for (int p = 0; p < pixels; ++p, in += channels) {
      for (int c = 0; c < channels; c += kLanes) sum = V::fma(take(in + c, relu), V::load(weights + c), sum);
      if (weights_per_pixel) weights += channels;
    }
    return V::total(sum);
  }

  static void weighted_mask(const T* in, int pixels, int channels, const float* weights, bool weights_per_pixel,
                            float slope, T* out) {
    for (int p = 0; p < pixels; ++p, in += channels, out += channels) {
      for (int c = 0; c < channels; c += kLanes) {
        const Vector w = V::load(weights + c);
        V::store(out + c, V::positive_or(V::load(in + c), w, V::mul(w, V::splat(slope))));
      }
      if (weights_per_pixel) weights += channels;
    }
  }

  static Kernels<T> table() {
    return {&multiply,    &nothing,     &nothing, &split2,        &split3,       &join2,        &join3,
            &finish_rows, &pad_image,   &windows, &copy,          &to_floats,    &average,      &spread,
            &silu,        &times_slope, &softmax, &softmax_slope, &weighted_sum, &weighted_mask};
  }
};

template <class V>
float squared_norm(const float* values, std::size_t count) {
  typename V::Vector sums[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  std::size_t i = 0;
  for (; i + 4 * V::kLanes <= count; i += 4 * V::kLanes)
    for (int k = 0; k < 4; ++k) {
      const auto x = V::load(values + i + static_cast<std::size_t>(k * V::kLanes));
      sums[k] = V::fma(x, x, sums[k]);
    }
  float rest = 0;
  for (; i < count; ++i) rest += values[i] * values[i];
  return V::total(V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3]))) + rest;
}

}  // namespace langrun::tiles
