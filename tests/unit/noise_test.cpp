#include "core/noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/noise_kernels.h"
#include "core/philox.h"

namespace langrun {
namespace {

using Words = std::array<std::uint32_t, 4>;

constexpr NoiseKey kKey{{0x0123'4567u, 0x89AB'CDEFu}};
constexpr NoisePlace kPlace{0x0000'0007'0000'0003ull, 42};
constexpr NoiseCounter kCounter{{0x0123'4567u, 0x89AB'CDEFu}, 42, {3, 7}};
constexpr std::uint32_t kOnes = 0xFFFF'FFFFu;

// Block and word of number i, as core/noise.h promises.
std::uint32_t word_of(std::size_t i) {
  const auto block = static_cast<std::uint32_t>(16 * (i / 64) + i % 16);
  return philox({block, kPlace.step, 3, 7}, kKey.words)[(i % 64) / 16];
}

std::vector<float> normals(NoiseKey key, NoisePlace place, std::size_t count) {
  std::vector<float> out(count);
  fill_normal(key, place, out);
  return out;
}

std::vector<std::uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(), [](float x) { return std::bit_cast<std::uint32_t>(x); });
  return bits;
}

// Known answers of Philox 4x32-10 that its authors publish with the Random123 library.
TEST(Philox, PublishedVectors) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(NoiseKey, FirstWordsOfABlockUnderTheSeed) {
  const auto block = philox({5, 2, 0, 0}, {0x89AB'CDEFu, 0x0123'4567u});
  const auto key = noise_key(0x0123'4567'89AB'CDEFull, Stream::langevin, 2);
  EXPECT_EQ(key.words[0], block[0]);
  EXPECT_EQ(key.words[1], block[1]);
}

TEST(NoiseKey, DistinctAcrossSeedsStreamsAndAttempts) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  for (std::uint64_t seed : {0ull, 1ull, 2ull, 1ull << 32}) {
    for (std::uint32_t stream = 1; stream <= 14; ++stream) {
      for (std::uint32_t attempt = 0; attempt < 4; ++attempt) {
        const auto key = noise_key(seed, static_cast<Stream>(stream), attempt);
        EXPECT_TRUE(seen.emplace(key.words[0], key.words[1]).second);
      }
    }
  }
}

TEST(NoiseKey, ChainIdentityHoldsSlotAndStep) {
  EXPECT_EQ(chain_identity(5, 3), 0x0000'0003'0000'0005ull);
  EXPECT_NE(chain_identity(5, 3), chain_identity(3, 5));
}

TEST(Noise, WordsStandWhereTheHeaderSays) {
  std::vector<std::uint32_t> words(200);
  std::vector<float> uniforms(200);
  fill_bits(kKey, kPlace, words);
  fill_uniform(kKey, kPlace, uniforms);
  for (std::size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(words[i], word_of(i)) << i;
    EXPECT_EQ(uniforms[i], static_cast<float>(word_of(i) >> 8) / 16777216.0f) << i;
  }
}

// The inline functions that CUDA kernels are made of, called one number at a time, against the vector routines.
TEST(Noise, NormalsAreBoxMullerOfTheirWords) {
  const auto z = normals(kKey, kPlace, 4096);
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::size_t pair = i % 64 / 32, first = i / 64 * 64 + pair * 32 + i % 16;
    float both[2];
    box_muller<ScalarOps>(word_of(first), word_of(first + 16), both[0], both[1]);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(z[i]), std::bit_cast<std::uint32_t>(both[i % 32 / 16])) << i;
  }
}

double error_in_ulp(float got, double expected) {
  const auto near = static_cast<float>(std::abs(expected));
  const double ulp = std::nextafter(near, std::numeric_limits<float>::infinity()) - near;
  return std::abs(got - expected) / ulp;
}

double worst_error(std::uint32_t word0, std::uint32_t word1) {
  float z0, z1;
  box_muller<ScalarOps>(word0, word1, z0, z1);
  const float u1 = std::fma(static_cast<float>(word0 >> 1), 0x1p-31f, 0x1p-32f);
  const double r = std::sqrt(-2.0 * std::log(static_cast<double>(u1)));
  // Whole quarter turns are taken off first: the double nearest to pi would spoil the zeros of cos and sin.
  const double rest = static_cast<double>(static_cast<std::int32_t>(word1 << 2)) * 0x1p-34 * 2 * std::numbers::pi;
  const std::uint32_t quarter = ((word1 + 0x2000'0000u) >> 30) & 3u;
  const double c = std::cos(rest), s = std::sin(rest);
  const double cosine[] = {c, -s, -c, s}, sine[] = {s, c, -s, -c};
  if (r == 0) return z0 == 0 && z1 == 0 ? 0 : 100;
  return std::max(error_in_ulp(z0, r * cosine[quarter]), error_in_ulp(z1, r * sine[quarter]));
}

TEST(Noise, NormalsAreAccurate) {
  const std::vector<std::uint32_t> edges{0,
                                         1,
                                         2,
                                         3,
                                         0x1FFF'FFFFu,
                                         0x2000'0000u,
                                         0x2000'0001u,
                                         0x3FFF'FFFFu,
                                         0x4000'0000u,
                                         0x4000'0001u,
                                         0x7FFF'FFFFu,
                                         0x8000'0000u,
                                         0x8000'0001u,
                                         0xBFFF'FFFFu,
                                         0xC000'0000u,
                                         0xC000'0001u,
                                         0xFFFF'FF00u,
                                         0xFFFF'FFFEu,
                                         kOnes};
  double worst = 0;
  for (const auto a : edges) {
    for (const auto b : edges) worst = std::max(worst, worst_error(a, b));
  }
  for (std::uint32_t block = 0; block < 500'000; ++block) {
    const auto words = philox({block, 0, 0, 0}, {1, 2});
    worst = std::max({worst, worst_error(words[0], words[1]), worst_error(words[2], words[3])});
  }
  EXPECT_LE(worst, 4.0);
  float z0, z1;
  box_muller<ScalarOps>(0, 0, z0, z1);
  EXPECT_GT(z0, 6.66f);  // the longest tail
  EXPECT_LE(z0, 6.67f);
}

TEST(Noise, EveryInstructionSetGivesTheSameBits) {
  const auto& list = noise_kernels();
  for (const std::size_t count : {1u, 15u, 63u, 64u, 65u, 3072u, 3109u}) {
    std::vector<float> gradient(count), start(count);
    for (std::size_t i = 0; i < count; ++i) {
      gradient[i] = std::sin(0.1f * static_cast<float>(i));
      start[i] = std::cos(0.3f * static_cast<float>(i));
    }
    const auto run = [&](const NoiseKernels& table) {
      std::vector<std::uint32_t> words(count);
      std::vector<float> uniform(count), normal(count), x = start;
      table.bits(kCounter, words.data(), count);
      table.uniform(kCounter, uniform.data(), count);
      table.normal(kCounter, normal.data(), count);
      table.langevin(kCounter, {-0.3f, 0.01f}, gradient.data(), x.data(), count);
      return std::vector{words, bits_of(uniform), bits_of(normal), bits_of(x)};
    };
    const auto reference = run(list.tables[0]);
    for (int k = 1; k < list.count; ++k) EXPECT_EQ(run(list.tables[k]), reference) << list.tables[k].name << count;
  }
}

// Bits of stored runs hang on these numbers.
TEST(Noise, NumbersStayAsTheyAre) {
  const auto z = bits_of(normals(noise_key(1, Stream::langevin), {chain_identity(5, 3), 7}, 66));
  EXPECT_EQ((std::vector{z[0], z[1], z[16], z[32], z[48], z[64]}),
            (std::vector<std::uint32_t>{0x3f6207f5u, 0x3e92932bu, 0xbfd0d58du, 0x3f9a5211u, 0x3f85eecbu, 0xbe04050eu}));
}

TEST(Noise, ANumberDoesNotDependOnHowManyAreAsked) {
  const auto all = bits_of(normals(kKey, kPlace, 1000));
  for (const std::size_t count : {0u, 1u, 16u, 17u, 64u, 100u, 999u}) {
    const auto some = bits_of(normals(kKey, kPlace, count));
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin())) << count;
  }
  std::vector<float> guarded(101, -9.0f);
  fill_normal(kKey, kPlace, std::span(guarded).first(100));
  EXPECT_EQ(guarded[100], -9.0f);
}

double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum / static_cast<double>(a.size());
}

TEST(Noise, PlacesAndKeysAreIndependent) {
  constexpr std::size_t kCount = 100'000;
  const double bound = 4.5 / std::sqrt(static_cast<double>(kCount));
  const auto base = normals(kKey, kPlace, kCount);
  const std::vector<std::vector<float>> others{
      normals(kKey, {kPlace.identity, kPlace.step + 1}, kCount),
      normals(kKey, {kPlace.identity + 1, kPlace.step}, kCount),
      normals(kKey, {kPlace.identity + (1ull << 32), kPlace.step}, kCount),
      normals(kKey, {kPlace.step, static_cast<std::uint32_t>(kPlace.identity)}, kCount),
      normals({{kKey.words[0] + 1, kKey.words[1]}}, kPlace, kCount)};
  for (std::size_t i = 0; i < others.size(); ++i) EXPECT_LT(std::abs(correlation(base, others[i])), bound) << i;
  for (const std::size_t lag : {1u, 16u, 32u, 64u}) {
    const std::vector<float> head(base.begin(), base.end() - static_cast<std::ptrdiff_t>(lag));
    const std::vector<float> tail(base.begin() + static_cast<std::ptrdiff_t>(lag), base.end());
    EXPECT_LT(std::abs(correlation(head, tail)), bound) << lag;
  }
}

TEST(Noise, MomentsOfTenMillionNormals) {
  constexpr double kCount = 1e7;
  double sum = 0, squares = 0, cubes = 0, fourths = 0, beyond_four = 0;
  std::vector<float> z(100'000);
  for (std::uint32_t step = 0; step < 100; ++step) {
    fill_normal(kKey, {9, step}, z);
    for (const double x : z) {
      sum += x;
      squares += x * x;
      cubes += x * x * x;
      fourths += x * x * x * x;
      beyond_four += std::abs(x) > 4;
    }
  }
  // Four standard errors each: of x 1, of x^2 2, of x^3 15, of x^4 96, all over n.
  EXPECT_NEAR(sum / kCount, 0, 4 * std::sqrt(1 / kCount));
  EXPECT_NEAR(squares / kCount, 1, 4 * std::sqrt(2 / kCount));
  EXPECT_NEAR(cubes / kCount, 0, 4 * std::sqrt(15 / kCount));
  EXPECT_NEAR(fourths / kCount, 3, 4 * std::sqrt(96 / kCount));
  EXPECT_NEAR(beyond_four, 6.334e-5 * kCount, 4 * std::sqrt(6.334e-5 * kCount));
}

double chi_square(std::uint64_t bound, std::size_t bins, std::uint32_t draws) {
  std::vector<double> counts(bins);
  const auto width = static_cast<long double>(bound) / static_cast<long double>(bins);
  for (std::uint32_t i = 0; i < draws; ++i) {
    const auto drawn = uniform_integer(kKey, kPlace, i, bound);
    EXPECT_LT(drawn, bound);
    counts[static_cast<std::size_t>(static_cast<long double>(drawn) / width)] += 1;
  }
  const double expected = draws / static_cast<double>(bins);
  double sum = 0;
  for (const double count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST(UniformInteger, IsUnbiased) {
  // 99.9 % points of chi-square with 2, 9 and 99 degrees of freedom.
  EXPECT_LT(chi_square(3, 3, 300'000), 13.8);
  EXPECT_LT(chi_square(10, 10, 300'000), 27.9);
  EXPECT_LT(chi_square(50'000, 100, 300'000), 148.2);
  // Half of all draws are rejected under the first bound, a quarter under the second: the walk on shows here.
  EXPECT_LT(chi_square((1ull << 63) + 1, 10, 300'000), 27.9);
  EXPECT_LT(chi_square(3ull << 62, 100, 300'000), 148.2);
}

TEST(UniformInteger, IsAFunctionOfItsIndex) {
  EXPECT_EQ(uniform_integer(kKey, kPlace, 17, 1000), uniform_integer(kKey, kPlace, 17, 1000));
  EXPECT_EQ(uniform_integer(kKey, kPlace, 17, 1), 0u);
  std::set<std::uint64_t> seen;
  for (std::uint32_t i = 0; i < 1000; ++i) seen.insert(uniform_integer(kKey, kPlace, i, (1ull << 63) + 1));
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_THROW(uniform_integer(kKey, kPlace, 0, 0), Error);
}

TEST(LangevinUpdate, IsTheNormalsInOnePass) {
  for (const std::size_t count : {3072u, 77u}) {
    std::vector<float> gradient(count), x(count), expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      gradient[i] = 3.0f * std::sin(static_cast<float>(i));
      x[i] = std::cos(static_cast<float>(i));
    }
    const auto z = normals(kKey, kPlace, count);
    for (std::size_t i = 0; i < count; ++i) expected[i] = std::fma(0.01f, z[i], std::fma(-0.5f, gradient[i], x[i]));
    langevin_update(kKey, kPlace, 0.5f, 0.01f, gradient, x);
    EXPECT_EQ(bits_of(x), bits_of(expected));
  }
}

TEST(LangevinUpdate, RefusesOtherSizes) {
  std::vector<float> gradient(10), x(11);
  EXPECT_THROW(langevin_update(kKey, kPlace, 1, 1, gradient, x), Error);
}

}  // namespace
}  // namespace langrun
