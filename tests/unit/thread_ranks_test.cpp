// Ranks that are threads are ranks like any others.
#include "tests/standin/thread_ranks.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "distributed/agreement.h"

namespace langrun {
namespace {

TEST(ThreadRanks, DifferencesAndAbsenceAreErrors) {
  auto thrown = run_ranks(3, [](Communicator& world) { world.barrier(world.rank() == 2 ? "b" : "a"); });
  for (const auto& one : thrown) EXPECT_NE(text_of(one), "");
  thrown = run_ranks(3, [](Communicator& world) {
    world.barrier("a");
    if (world.rank() != 1) world.barrier("b");
  });
  EXPECT_EQ(text_of(thrown[0]), "collective 'b' (number 2): rank 1 has left");
  EXPECT_EQ(text_of(thrown[1]), "");
  EXPECT_EQ(text_of(thrown[2]), "collective 'b' (number 2): rank 1 has left");
}

TEST(ThreadRanks, CollectivesAreThoseOfACommunicator) {
  for (const auto& thrown : run_ranks(4, [](Communicator& world) {
         const auto rank = world.rank();
         std::vector<float> values{1.0f, static_cast<float>(rank)};
         const auto ticket = world.begin_sum("sum", values);
         std::int64_t largest = rank;
         world.maximum("largest", {&largest, 1});
         EXPECT_EQ(largest, 3);
         EXPECT_EQ(by_rank(world, "names", std::string(static_cast<std::size_t>(rank), 'x')),
                   (std::vector<std::string>{"", "x", "xx", "xxx"}));
         std::vector<float> blocks(4);
         world.gather_blocks("blocks", std::span(values).subspan(1), blocks);
         EXPECT_EQ(blocks, (std::vector<float>{0, 1, 2, 3}));
         world.finish_sum(ticket);
         EXPECT_EQ(values, (std::vector<float>{4, 6}));
         EXPECT_EQ(on_root(world, "word", [] { return std::string("word"); }), "word");
       }))
    EXPECT_EQ(text_of(thrown), "");
}

TEST(ThreadRanks, WorkOfRankZeroThatTakesItsTimeIsWaitedForInMeetings) {
  constexpr int kRanks = 3;
  std::array<int, kRanks> works{};
  const auto slowly = [&](Communicator& world, const std::function<std::string()>& part) {
    return on_root_slowly(world, "slow work", [&] {
      ++works[static_cast<std::size_t>(world.rank())];
      std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // over one meeting
      return part();
    });
  };
  for (const auto& thrown : run_ranks(kRanks, [&](Communicator& world) {
         EXPECT_EQ(slowly(world, [] { return std::string("word"); }), "word");
         slowly(world, []() -> std::string { throw Error(ExitCode::storage, "the disk is ill"); });
       }))
    EXPECT_NE(text_of(thrown).find("the disk is ill"), std::string::npos);
  EXPECT_EQ(works, (std::array<int, kRanks>{2, 0, 0}));
  const auto solo = make_solo_communicator();
  EXPECT_EQ(on_root_slowly(*solo, "alone", [] { return std::string("word"); }), "word");
}

}  // namespace
}  // namespace langrun
