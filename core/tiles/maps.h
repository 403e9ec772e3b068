// Feature maps of a few images in plain memory, and the scratch that convolutions over them need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "core/tiles/kernels.h"

namespace langrun::tiles {

/// Memory on a cache line's boundary that only grows: once a size has been seen, asking for it again costs nothing.
template <class T>
class Buffer {
 public:
  /// At least `count` numbers; what they held before is lost where the buffer has to grow.
  T* at_least(std::size_t count) {
    if (count > size_) {
      constexpr std::size_t kLine = 64;
      data_.reset(static_cast<T*>(std::aligned_alloc(kLine, (count * sizeof(T) + kLine - 1) / kLine * kLine)));
      if (!data_) throw std::bad_alloc();
      size_ = count;
    }
    return data_.get();
  }
  T* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

/// The most channels that a map of these networks may have.
constexpr int kMostChannels = 1 << 14;
/// Numbers of a 3x3 window of an image of 3 channels, padded.
constexpr int kWindow = 32;

/// Size of one image's map; `channels` is padded.
struct MapShape {
  int height = 0, width = 0, channels = 0;
  std::size_t pixels() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
  std::size_t size() const { return pixels() * static_cast<std::size_t>(channels); }
  std::size_t place(int y, int x) const {
    return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) *
           static_cast<std::size_t>(channels);
  }
  bool holds(int y, int x) const { return y >= 0 && y < height && x >= 0 && x < width; }
};

/// Maps [images, height, width, channels], channels last, one image after the other.
template <class T>
struct Maps {
  T* data = nullptr;
  MapShape shape;
  T* image(int i) const { return data + static_cast<std::size_t>(i) * shape.size(); }
};

/// What a convolution does with its sums (Finish), for whole maps: `mask` and `add` have the result's shape, but for
/// an `add_half`, whose pixels each serve 2x2 of the result's.
template <class T>
struct Ending {
  Finish finish;
  const T* mask = nullptr;
  const T* add = nullptr;
  bool add_half = false;
};

/// Scratch of one thread.
template <class T>
struct Scratch {
  Buffer<T> rows, zeros, image;
  Buffer<float> sums;
};

}  // namespace langrun::tiles
