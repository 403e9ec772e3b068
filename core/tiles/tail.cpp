#include "core/tiles/tail.h"

#include <algorithm>

#include "core/torch.h"

namespace langrun::tiles {

PooledTail::PooledTail(const at::Tensor& weight, int channels) : weight_(at::zeros({channels})) {
  weight_.narrow(0, 0, weight.numel()).copy_(weight.detach().flatten());
}

template <class T>
void PooledTail::run(const Kernels<T>& kernels, const Maps<const T>& in, int images, float* energy, T* gradient) const {
  const int pixels = static_cast<int>(in.shape.pixels()), channels = in.shape.channels;
  const float share = 1.0f / static_cast<float>(pixels);
  alignas(64) float weights[kMostChannels];
  const float* values = weight_.const_data_ptr<float>();
  for (int c = 0; c < channels; ++c) weights[c] = values[c] * share;
  for (int i = 0; i < images; ++i) {
    energy[i] =
        kernels.weighted_sum(in.image(i), pixels, channels, weights, /*weights_per_pixel=*/false, /*relu=*/true);
    kernels.weighted_mask(in.image(i), pixels, channels, weights, false, 0,
                          gradient + static_cast<std::size_t>(i) * in.shape.size());
  }
}

template <class T>
void average_image(const Kernels<T>& kernels, const float* image, const MapShape& shape, T* out,
                   Buffer<float>& scratch) {
  const int height = shape.height / 2, width = shape.width / 2, channels = padded<T>(3);
  float* row = scratch.at_least(static_cast<std::size_t>(width * channels));
  std::fill_n(row, width * channels, 0.0f);
  for (int y = 0; y < height; ++y) {
    const float* upper = image + shape.place(2 * y, 0);
    const float* lower = image + shape.place(2 * y + 1, 0);
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        row[x * channels + c] =
            ((upper[6 * x + c] + upper[6 * x + 3 + c]) + (lower[6 * x + c] + lower[6 * x + 3 + c])) * 0.25f;
    kernels.finish_rows(row, static_cast<std::size_t>(channels), width, channels, {},
                        {out + static_cast<std::size_t>(y * width * channels), nullptr, nullptr},
                        static_cast<std::size_t>(channels));
  }
}

template <class T>
void add_average_gradient(const Kernels<T>& kernels, const T* gradient, const MapShape& shape, float* image,
                          Buffer<float>& scratch) {
  const int width = 2 * shape.width;
  float* row = scratch.at_least(static_cast<std::size_t>(shape.width * shape.channels));
  for (int y = 0; y < shape.height; ++y) {
    kernels.to_floats(gradient + shape.place(y, 0), static_cast<std::size_t>(shape.width * shape.channels), row);
    float* upper = image + static_cast<std::ptrdiff_t>(2 * y) * width * 3;
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) {
        const float share = 0.25f * row[x / 2 * shape.channels + c];
        upper[3 * x + c] += share;
        upper[3 * (width + x) + c] += share;
      }
  }
}

template void PooledTail::run(const Kernels<float>&, const Maps<const float>&, int, float*, float*) const;
template void PooledTail::run(const Kernels<Bf16>&, const Maps<const Bf16>&, int, float*, Bf16*) const;
template void average_image(const Kernels<float>&, const float*, const MapShape&, float*, Buffer<float>&);
template void average_image(const Kernels<Bf16>&, const float*, const MapShape&, Bf16*, Buffer<float>&);
template void add_average_gradient(const Kernels<float>&, const float*, const MapShape&, float*, Buffer<float>&);
template void add_average_gradient(const Kernels<Bf16>&, const Bf16*, const MapShape&, float*, Buffer<float>&);

}  // namespace langrun::tiles
