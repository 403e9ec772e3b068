#include "jobs/ordered_workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>

namespace langrun {
namespace {

using Workers = OrderedWorkers<int, int>;

std::function<std::optional<int>()> count_to(int last) {
  return [last, next = 0]() mutable { return next < last ? std::optional(next++) : std::nullopt; };
}

TEST(OrderedWorkers, ResultsComeInTheOrderOfReading) {
  for (const int threads : {1, 2, 5}) {
    Workers workers(threads, 7, count_to(200), [](int, int&& piece) {
      // Later pieces are done sooner.
      if (piece % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
      return piece * 10;
    });
    for (int i = 0; i < 200; ++i) ASSERT_EQ(workers.next(), i * 10) << threads;
    EXPECT_EQ(workers.next(), std::nullopt);
    EXPECT_EQ(workers.next(), std::nullopt);
  }
}

TEST(OrderedWorkers, ErrorsComeInTheirPiecesPlace) {
  Workers workers(3, 4, count_to(20), [](int, int&& piece) {
    if (piece == 5) throw std::runtime_error("five");
    return piece;
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(workers.next(), i);
  EXPECT_THROW(workers.next(), std::runtime_error);
  EXPECT_EQ(workers.next(), 6);
}

TEST(OrderedWorkers, AFailedReadComesLast) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    Workers workers(
        2, 4,
        [next = 0]() mutable -> std::optional<int> {
          if (next == 3) throw std::runtime_error("disk");
          return next++;
        },
        [](int, int&& piece) { return piece; });
    for (int i = 0; i < 3; ++i) EXPECT_EQ(workers.next(), i);
    EXPECT_THROW(workers.next(), std::runtime_error);
    EXPECT_EQ(workers.next(), std::nullopt);
  }
}

TEST(OrderedWorkers, ReadsNoFurtherAheadThanAsked) {
  std::atomic<int> read = 0;
  Workers workers(
      2, 6, [&]() -> std::optional<int> { return read++; }, [](int, int&& piece) { return piece; });
  EXPECT_EQ(workers.next(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LE(read, 7);
  // Goes out of scope with work at hand.
}

}  // namespace
}  // namespace langrun
