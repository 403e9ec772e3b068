#include "core/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/error.h"

namespace langrun {
namespace {

std::vector<std::uint64_t> order(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size) {
  const Permutation permutation(seed, epoch, size);
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < size; ++i) all.push_back(permutation(i));
  return all;
}

TEST(Permutation, HitsEveryElementOnce) {
  for (const std::uint64_t size : {1, 2, 3, 4, 5, 10, 63, 64, 65, 1000, 50000}) {
    std::vector<bool> seen(size, false);
    for (const auto element : order(7, 3, size)) {
      ASSERT_LT(element, size);
      ASSERT_FALSE(seen[element]) << element << " of " << size;
      seen[element] = true;
    }
  }
}

TEST(Permutation, DependsOnSeedAndEpochAlone) {
  EXPECT_EQ(order(1, 2, 100), order(1, 2, 100));
  EXPECT_NE(order(1, 2, 100), order(2, 2, 100));
  EXPECT_NE(order(1, 2, 100), order(1, 3, 100));
  EXPECT_NE(order(1, 2, 100), order(1, 2 + (std::uint64_t{1} << 32), 100));
}

TEST(Permutation, SmallSetsAreMixedEvenly) {
  // Where element 0 goes, and which element follows it, over many epochs: chi-squared with 9 and 8 degrees of freedom.
  constexpr int kEpochs = 20000;
  std::vector<int> place(10, 0), after(10, 0);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const Permutation permutation(11, static_cast<std::uint64_t>(epoch), 10);
    ++place[permutation(0)];
    ++after[(permutation(1) + 10 - permutation(0)) % 10];
  }
  const auto chi = [](const std::vector<int>& counts, std::size_t first, double expected) {
    double sum = 0;
    for (std::size_t i = first; i < counts.size(); ++i)
      sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    return sum;
  };
  EXPECT_LT(chi(place, 0, kEpochs / 10.0), 33.7);  // 1 in 10,000 by chance; the numbers are fixed, so it never flickers
  EXPECT_LT(chi(after, 1, kEpochs / 9.0), 31.8);
}

TEST(Permutation, RefusesWhatHasNoOrder) {
  EXPECT_THROW(Permutation(1, 0, 0), Error);
  EXPECT_THROW(Permutation(1, 0, 10)(10), Error);
}

TEST(Permutation, LargeSizesStayInRange) {
  const std::uint64_t size = (std::uint64_t{1} << 40) + 12345;
  const Permutation permutation(5, 0, size);
  std::uint64_t high = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_LT(permutation(i), size);
    high = std::max(high, permutation(i));
  }
  EXPECT_GT(high, size / 2);
}

}  // namespace
}  // namespace langrun
