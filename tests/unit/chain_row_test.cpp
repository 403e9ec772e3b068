// What the threads of a GPU's block do for one chain, done here one thread after the other.
#include "core/chain_row.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "core/networks/activation_cuda.h"
#include "core/noise.h"

namespace langrun {
namespace {

constexpr int kThreads = 96;
constexpr std::uint64_t kIdentity = 0x1234567890ABCDEFu;
constexpr std::uint32_t kStep = 17;

struct Chain {
  std::vector<float> gradient, x;
  explicit Chain(std::size_t length) : gradient(length), x(length) {
    for (std::size_t i = 0; i < length; ++i) {
      gradient[i] = std::sin(static_cast<float>(i));
      x[i] = std::cos(0.5f * static_cast<float>(i));
    }
  }
  std::int64_t length() const { return static_cast<std::int64_t>(x.size()); }
};

ChainSettings some_settings(const NoiseKey& key, float max_norm) {
  return {{key.words[0], key.words[1]}, 3, 0.5f, 0.01f, max_norm};
}

TEST(ChainRow, ThreadsTogetherLeaveTheProcessorsBits) {
  const auto key = noise_key(11, Stream::langevin, 1);
  const auto settings = some_settings(key, 0);
  // Fewer numbers than threads, a group cut off in the middle, many groups a thread.
  for (const std::size_t length : {1u, 63u, 3u * 17u * 19u, 3u * 32u * 32u * 5u}) {
    Chain by_threads(length), whole(length);
    for (int thread = 0; thread < kThreads; ++thread)
      move_of_thread(settings, kIdentity, kStep, settings.gradient_weight, by_threads.gradient.data(),
                     by_threads.x.data(), by_threads.length(), thread, kThreads);
    langevin_update(key, {kIdentity, kStep}, settings.gradient_weight, settings.noise_weight, whole.gradient, whole.x);
    EXPECT_EQ(by_threads.x, whole.x) << length;
  }
}

TEST(ChainRow, SquaresAreSharedOutWhole) {
  const Chain chain(3 * 17 * 19);
  double expected = 0, given = 0;
  for (const float value : chain.gradient) expected += static_cast<double>(value) * value;
  for (int thread = 0; thread < kThreads; ++thread)
    given += squares_of_thread(chain.gradient.data(), chain.length(), thread, kThreads);
  EXPECT_NEAR(given, expected, 1e-5 * expected);
}

TEST(ChainRow, ClipsTheStepToItsLimit) {
  const auto key = noise_key(11, Stream::langevin, 1);
  const float magnitude = chain_magnitude(some_settings(key, 0), 36.0f);
  EXPECT_EQ(magnitude, 3.0f);
  EXPECT_EQ(clipped_weight(some_settings(key, 0), magnitude), 0.5f);
  EXPECT_EQ(clipped_weight(some_settings(key, 3.5f), magnitude), 0.5f);
  EXPECT_EQ(clipped_weight(some_settings(key, 1.5f), magnitude), 0.25f);
}

TEST(BiasAndBend, RoundsToTheNearestBfloat16) {
  EXPECT_EQ(narrow_bf16(1.0f), 0x3F80u);
  EXPECT_EQ(widen_bf16(0xBF80u), -1.0f);
  // Halfway between two: the even one.
  EXPECT_EQ(narrow_bf16(1.0f + 0x1p-8f), 0x3F80u);
  EXPECT_EQ(narrow_bf16(1.0f + 0x3p-8f), 0x3F82u);
  EXPECT_EQ(narrow_bf16(1.0f + 0x1p-8f + 0x1p-20f), 0x3F81u);
  EXPECT_EQ(widen_bf16(narrow_bf16(std::numeric_limits<float>::max())), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(widen_bf16(narrow_bf16(std::bit_cast<float>(0x7F800001u)))));
}

TEST(BiasAndBend, IsALeakyRelu) {
  EXPECT_EQ(biased_and_bent(1.0f, 0.5f, 0.25f), 1.5f);
  EXPECT_EQ(biased_and_bent(1.0f, -3.0f, 0.25f), -0.5f);
  EXPECT_EQ(biased_and_bent(1.0f, -3.0f, 1.0f), -2.0f);
  EXPECT_EQ(biased_and_bent(1.0f, -3.0f, 0.0f), 0.0f);
}

}  // namespace
}  // namespace langrun
