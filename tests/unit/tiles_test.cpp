// The CPU chain's convolutions against LibTorch's, and its products on an emulation of tile registers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/tiles/amx.h"
#include "core/tiles/convolution.h"
#include "core/tiles/engine.h"
#include "core/torch.h"

namespace langrun::tiles {
namespace {

/// Tile registers as the architecture describes them, in plain memory.
struct Emulated {
  static void shape(int rows) { height = rows; }
  template <int t>
  static void zero() {
    std::memset(&registers[t], 0, sizeof registers[t]);
  }
  template <int t>
  static void load(const void* from, std::size_t bytes) {
    for (int r = 0; r < (t < 6 ? height : kTileRows); ++r)
      std::memcpy(registers[t][r], static_cast<const char*>(from) + static_cast<std::size_t>(r) * bytes, 64);
  }
  template <int t>
  static void store(void* to, std::size_t bytes) {
    for (int r = 0; r < height; ++r)
      std::memcpy(static_cast<char*>(to) + static_cast<std::size_t>(r) * bytes, registers[t][r], 64);
  }
  template <int sum, int value, int weight>
  static void product() {
    for (int m = 0; m < height; ++m)
      for (int n = 0; n < kTileColumns; ++n)
        for (int k = 0; k < kTileDepth; ++k)
          number(sum, m, n) += half(value, m, k) * half(weight, k / 2, 2 * n + k % 2);
  }
  static float& number(int t, int row, int column) { return reinterpret_cast<float*>(registers[t][row])[column]; }
  static float half(int t, int row, int column) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, registers[t][row] + 2 * column, sizeof bits);
    const std::uint32_t wide = std::uint32_t{bits} << 16;
    float value = 0;
    std::memcpy(&value, &wide, sizeof value);
    return value;
  }
  inline static int height = 0;
  alignas(64) inline static char registers[8][kTileRows][64];
};

at::Tensor whole_numbers(at::IntArrayRef sizes) { return at::randint(-8, 9, sizes, at::kFloat); }

TEST(Tiles, ProductsOnTilesAreThoseOfMatrices) {
  for (const int width : {16, 32, 48, 64}) {
    for (const int rows : {1, 15, 16, 17, 32, 40, 64}) {
      const int depth = 96, pitch = 128;
      const auto a = whole_numbers({rows, pitch}), b = whole_numbers({depth, width});
      const auto values = a.to(at::kBFloat16).contiguous();
      const auto packed = b.view({depth / 2, 2, width}).permute({0, 2, 1}).to(at::kBFloat16).contiguous();
      auto sums = at::full({rows + 1, width}, 77.0f);
      Emulated::shape(kTileRows);
      AmxProducts<Emulated>::multiply(rows, width, depth, static_cast<const Bf16*>(values.const_data_ptr()), pitch,
                                      static_cast<const Bf16*>(packed.const_data_ptr()),
                                      sums.mutable_data_ptr<float>());
      EXPECT_TRUE(at::equal(sums.narrow(0, 0, rows), at::matmul(a.narrow(1, 0, depth), b))) << rows << " " << width;
      EXPECT_TRUE(at::equal(sums[rows], at::full({width}, 77.0f))) << "written behind the last row";
      EXPECT_EQ(Emulated::height, kTileRows);
    }
  }
}

template <class T>
void check_products(const Kernels<T>& kernels) {
  constexpr int kPair = sizeof(float) / sizeof(T);
  const auto type = kPair == 2 ? at::kBFloat16 : at::kFloat;
  for (const int width : {16, 32, 48, 64}) {
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 11, 13, 31, 64}) {
      const int depth = 48;
      const auto a = whole_numbers({rows, depth}), b = whole_numbers({depth, width});
      const auto values = a.to(type).contiguous();
      const auto packed = b.view({depth / kPair, kPair, width}).permute({0, 2, 1}).to(type).contiguous();
      auto sums = at::full({rows + 1, width}, 77.0f);
      kernels.multiply(rows, width, depth, static_cast<const T*>(values.const_data_ptr()), depth,
                       static_cast<const T*>(packed.const_data_ptr()), sums.mutable_data_ptr<float>());
      EXPECT_TRUE(at::equal(sums.narrow(0, 0, rows), at::matmul(a, b))) << rows << " " << width;
      EXPECT_TRUE(at::equal(sums[rows], at::full({width}, 77.0f)));
    }
  }
}

TEST(Tiles, ProductsOfEveryInstructionSet) {
#if defined(__x86_64__)
  if (kernels<float>() == nullptr) GTEST_SKIP() << "this processor has neither AVX2 nor AVX-512";
  check_products(avx2_tables().fp32);
  if (__builtin_cpu_supports("avx512f")) check_products(avx512_tables().fp32);
  if (__builtin_cpu_supports("avx512bf16")) check_products(avx512_tables().bf16);
#else
  GTEST_SKIP() << "tiles are written for x86-64";
#endif
}

/// [images, H, W, padded C] of x [images, C, H, W], zeros behind the last channel.
at::Tensor to_maps(const at::Tensor& x) {
  auto maps = at::zeros({x.size(0), x.size(2), x.size(3), padded<float>(x.size(1))});
  maps.narrow(3, 0, x.size(1)).copy_(x.permute({0, 2, 3, 1}));
  return maps;
}
at::Tensor from_maps(const at::Tensor& maps, std::int64_t channels) {
  return maps.narrow(3, 0, channels).permute({0, 3, 1, 2});
}
Maps<float> maps_of(at::Tensor& t) {
  return {t.mutable_data_ptr<float>(),
          {static_cast<int>(t.size(1)), static_cast<int>(t.size(2)), static_cast<int>(t.size(3))}};
}
Maps<const float> constant(at::Tensor& t) {
  const auto maps = maps_of(t);
  return {maps.data, maps.shape};
}
double apart(const at::Tensor& a, const at::Tensor& b) { return ((a - b).norm() / b.norm()).item<double>(); }

struct Size {
  int kernel, in, out, height, width;
};

class EachConvolution : public testing::TestWithParam<Size> {};

TEST_P(EachConvolution, IsLibTorchsBothWays) {
  if (kernels<float>() == nullptr) GTEST_SKIP() << "this processor has neither AVX2 nor AVX-512";
  const auto& table = *kernels<float>();
  const auto s = GetParam();
  constexpr int kImages = 3;
  const auto weight = at::randn({s.out, s.in, s.kernel, s.kernel}), bias = at::randn({s.out});
  const Convolution<float> convolution(weight, bias);
  auto x = at::randn({kImages, s.in, s.height, s.width}).requires_grad_();
  const auto stride = s.kernel == 4 ? 2 : 1;
  const auto y = at::conv2d(at::relu(x), weight, bias, stride, s.kernel == 1 ? 0 : 1);
  const auto added = at::randn_like(y), slope = at::randn_like(y);
  const auto gradient = torch::autograd::grad({y}, {x}, {slope})[0];

  Scratch<float> scratch;
  auto in = to_maps(x.detach()), plus = to_maps(added), out = at::full_like(plus, 5);
  Ending<float> sum;
  sum.finish.slope = 0.25f;
  sum.finish.add_scale = 2;
  sum.add = plus.const_data_ptr<float>();
  ASSERT_EQ(convolution.result(maps_of(in).shape).size(), maps_of(out).shape.size());
  convolution.forward(table, constant(in), true, maps_of(out), kImages, sum, scratch);
  EXPECT_LT(apart(from_maps(out, s.out), at::leaky_relu(y.detach(), 0.25) + 2 * added), 1e-5);
  EXPECT_EQ(out.narrow(3, s.out, out.size(3) - s.out).abs().sum().item<float>(), 0) << "channels that are padding";

  auto from = to_maps(slope), back = at::full_like(in, 5);
  auto half = at::randn({kImages, s.height / 2, s.width / 2, in.size(3)});
  half.narrow(3, s.in, half.size(3) - s.in).zero_();
  Ending<float> masked;
  masked.finish.mask_slope = 0;
  masked.mask = in.const_data_ptr<float>();
  masked.finish.add_scale = 0.5f;
  masked.add = half.const_data_ptr<float>();
  masked.add_half = true;
  convolution.backward(table, constant(from), maps_of(back), kImages, masked, scratch);
  auto expected = gradient.detach().clone();
  expected.narrow(2, 0, s.height / 2 * 2).narrow(3, 0, s.width / 2 * 2) +=
      0.5 * from_maps(half, s.in).repeat_interleave(2, 2).repeat_interleave(2, 3);
  EXPECT_LT(apart(from_maps(back, s.in), expected), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Sizes, EachConvolution,
                         testing::Values(Size{3, 16, 16, 8, 8}, Size{3, 5, 24, 7, 9}, Size{3, 40, 70, 4, 4},
                                         Size{4, 16, 32, 8, 8}, Size{4, 20, 9, 6, 10}, Size{4, 64, 128, 16, 16},
                                         Size{1, 24, 40, 5, 7}, Size{1, 48, 16, 6, 4}),
                         [](const auto& each) {
                           const auto& s = each.param;
                           return fmt::format("k{}_{}_to_{}_{}x{}", s.kernel, s.in, s.out, s.height, s.width);
                         });

TEST(Tiles, ImagesConvolutionIsLibTorchsBothWays) {
  if (kernels<float>() == nullptr) GTEST_SKIP() << "this processor has neither AVX2 nor AVX-512";
  const auto weight = at::randn({20, 3, 3, 3}), bias = at::randn({20});
  const ImageConvolution<float> convolution(weight, bias);
  // Wider than one product's rows, and odd.
  auto x = at::randn({2, 3, 7, 71}).requires_grad_();
  const auto y = at::conv2d(x, weight, bias, 1, 1);
  const auto slope = at::randn_like(y);
  const auto gradient = torch::autograd::grad({y}, {x}, {slope})[0];
  Scratch<float> scratch;
  const auto images = x.detach().permute({0, 2, 3, 1}).contiguous();
  auto out = at::empty({2, 7, 71, padded<float>(20)}), from = to_maps(slope);
  auto back = at::full_like(images, 5);
  for (int i = 0; i < 2; ++i) {
    convolution.forward(*kernels<float>(), images.const_data_ptr<float>() + i * 7 * 71 * 3, maps_of(out), i, {},
                        scratch);
    convolution.backward(*kernels<float>(), constant(from), i, back.mutable_data_ptr<float>() + i * 7 * 71 * 3,
                         scratch);
  }
  EXPECT_LT(apart(from_maps(out, 20), y.detach()), 1e-6);
  EXPECT_LT(apart(back.permute({0, 3, 1, 2}), gradient), 1e-6);
}

TEST(Tiles, SquaredNormIsTheSumOfSquares) {
  for (const std::int64_t n : {1, 15, 64, 100, 3072}) {
    const auto x = at::randn({n});
    EXPECT_NEAR(squared_norm(x.const_data_ptr<float>(), static_cast<std::size_t>(n)),
                x.to(at::kDouble).square().sum().item<double>(), 1e-5 * static_cast<double>(n + 10));
  }
}

}  // namespace
}  // namespace langrun::tiles
