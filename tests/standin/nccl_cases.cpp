#include "tests/standin/nccl_cases.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/noise.h"
#include "distributed/nccl_communicator.h"
#include "distributed/nccl_reducer.h"
#include "tests/standin/device_values.h"
#include "tests/standin/thread_ranks.h"

namespace langrun {

void NcclCases::SetUp() {
  ranks = GetParam().ranks;
  place = GetParam().open();
  if (const auto why = place->unfit(ranks); !why.empty()) GTEST_SKIP() << why;
}

void NcclCases::TearDown() { EXPECT_EQ(IsSkipped() ? "" : place->leftovers(), ""); }

void NcclCases::run(const std::function<void(Communicator&, const NcclFunctions&)>& part) {
  const auto thrown = run_ranks(ranks, [&](Communicator& world) { part(world, place->take(world)); });
  for (std::size_t rank = 0; rank < thrown.size(); ++rank) EXPECT_EQ(text_of(thrown[rank]), "") << "rank " << rank;
}

namespace {

constexpr double kLimit = 120;  // seconds; nothing that goes well comes near it
constexpr std::int64_t kLanes = 4;

std::size_t index(int value) { return static_cast<std::size_t>(value); }

// What rank `from` sends to rank `to`: no two values of a test are alike.
std::vector<float> block(int from, int to, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(from) + 16.0f * static_cast<float>(to) + 256.0f * static_cast<float>(i);
  return values;
}

std::vector<float> operator+(std::vector<float> left, const std::vector<float>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

std::vector<float> lane_values(std::int64_t step, std::int64_t lane, std::size_t count) {
  std::vector<float> values(count);
  fill_normal(noise_key(3, Stream::sample), {static_cast<std::uint64_t>(lane), static_cast<std::uint32_t>(step)},
              values);
  return values;
}

// The sum over all lanes as the program adds it in host memory.
std::vector<float> host_sum(std::size_t count, const std::function<std::vector<float>(std::int64_t lane)>& values) {
  const auto world = make_solo_communicator();
  TreeReducer reducer(*world, lanes_of(kLanes, 0, 1), count, "host");
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    std::ranges::copy(values(lane), reducer.lane().begin());
    reducer.add();
  }
  const auto sum = reducer.finalize();
  return {sum.begin(), sum.end()};
}

bool same_bits(std::span<const float> left, std::span<const float> right) {
  return left.size() == right.size() && std::memcmp(left.data(), right.data(), left.size_bytes()) == 0;
}

ExitCode code_of(const std::function<void()>& part) {
  try {
    part();
  } catch (const Error& error) {
    return error.code();
  }
  return ExitCode::done;
}

// The third call is one that another rank does not make, under a limit of 3 s.
void expect_no_sum(NcclCommunicator& nccl, float* values) {
  try {
    nccl.all_reduce("gradients", values, 10);
    ADD_FAILURE() << "a sum of fewer ranks";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::rank);
    const std::string text = error.what(), wanted = "'gradients' (number 3) on rank " + std::to_string(nccl.rank()) +
                                                    " of " + std::to_string(nccl.size()) + " has waited 3 s";
    EXPECT_NE(text.find(wanted), std::string::npos) << text;
    EXPECT_NE(error.hint().find("--watchdog.limit"), std::string::npos) << error.hint();
  }
  // What follows says why it cannot be, and is no error of the program's own.
  EXPECT_EQ(code_of([&] { nccl.all_reduce("next", values, 10); }), ExitCode::rank);
  EXPECT_EQ(code_of([&] { nccl.settle("next"); }), ExitCode::rank);
  EXPECT_EQ(code_of([&] { nccl.finish(); }), ExitCode::rank);
}

}  // namespace

TEST_P(NcclCases, ExchangeBringsEveryRanksBlock) {
  run([&](Communicator& world, const NcclFunctions& functions) {
    NcclCommunicator nccl(world, kLimit, functions);
    EXPECT_EQ(nccl.rank(), world.rank());
    EXPECT_EQ(nccl.size(), ranks);
    std::vector<float> sent, wanted;
    for (int peer = 0; peer < ranks; ++peer) {
      sent = sent + block(world.rank(), peer, 1000);
      wanted = wanted + block(peer, world.rank(), 1000);
    }
    const DeviceValues send(nccl, sent), receive(nccl, sent.size());
    for (int repeat = 0; repeat < 3; ++repeat) {
      nccl.exchange("exchange", send.get(), receive.get(), 1000);
      EXPECT_EQ(receive.values(), wanted);
    }
    EXPECT_EQ(nccl.bytes_sent(), 3 * 4000 * index(ranks - 1));
    nccl.finish();
  });
}

TEST_P(NcclCases, GatherGivesAllBlocksByRank) {
  run([&](Communicator& world, const NcclFunctions& functions) {
    NcclCommunicator nccl(world, kLimit, functions);
    std::vector<float> wanted;
    for (int rank = 0; rank < ranks; ++rank) wanted = wanted + block(rank, 1, 777);
    const DeviceValues own(nccl, block(world.rank(), 1, 777)), all(nccl, wanted.size());
    nccl.gather_blocks("gather", own.get(), all.get(), 777);
    EXPECT_EQ(all.values(), wanted);
    EXPECT_EQ(nccl.bytes_sent(), 4 * 777 * index(ranks - 1));
    nccl.finish();
  });
}

TEST_P(NcclCases, AllReduceAddsInPlace) {
  run([&](Communicator& world, const NcclFunctions& functions) {
    NcclCommunicator nccl(world, kLimit, functions);
    std::vector<float> wanted(500);
    for (int rank = 0; rank < ranks; ++rank) {
      const auto part = block(rank, 0, 500);
      for (std::size_t i = 0; i < part.size(); ++i) wanted[i] += part[i];  // whole numbers: any order gives these bits
    }
    const DeviceValues values(nccl, block(world.rank(), 0, 500));
    nccl.all_reduce("sum", values.get(), 500);
    EXPECT_EQ(values.values(), wanted);
    EXPECT_EQ(nccl.bytes_sent(), 2 * 2000 * index(ranks - 1) / index(ranks));
    nccl.finish();
  });
}

TEST_P(NcclCases, AStreamIsWaitedFor) {
  run([&](Communicator& world, const NcclFunctions& functions) {
    NcclCommunicator nccl(world, kLimit, functions);
    cudaStream_t producer = nullptr;
    ASSERT_EQ(functions.stream_create(&producer, cudaStreamNonBlocking), cudaSuccess);
    const auto own = block(world.rank(), 0, 100000);
    const DeviceValues made(nccl, own), values(nccl, own.size()), all(nccl, own.size() * index(ranks));
    functions.copy(values.get(), made.get(), own.size() * sizeof(float), cudaMemcpyDeviceToDevice, producer);
    nccl.after(producer);
    nccl.gather_blocks("gather", values.get(), all.get(), own.size());
    const auto got = all.values();
    for (int rank = 0; rank < ranks; ++rank)
      EXPECT_TRUE(same_bits(std::span(got).subspan(index(rank) * own.size(), own.size()), block(rank, 0, own.size())));
    functions.stream_destroy(producer);
    nccl.finish();
  });
}

TEST_P(NcclCases, TheTreeHasTheBitsOfTheHostTree) {
  // Sizes that ranks divide, and that they do not: the last slice is padded then.
  for (const std::size_t count : {1u, 8u, 100003u})
    run([&, count](Communicator& world, const NcclFunctions& functions) {
      NcclCommunicator nccl(world, kLimit, functions);
      const auto lanes = lanes_of(kLanes, world.rank(), ranks);
      NcclReducer reducer(nccl, lanes, count, DeviceSum::tree, "tree");
      EXPECT_EQ(reducer.elements(), count);
      for (int step = 0; step < 3; ++step) {
        for (std::int64_t lane = 0; lane < lanes.owned; ++lane) {
          const auto values = lane_values(step, lanes.first + lane, count);
          if (step == 1) {  // from the device
            const DeviceValues there(nccl, values);
            reducer.add_device(there.get(), nccl.stream());
          } else {
            std::ranges::copy(values, reducer.lane().begin());
            reducer.add();
          }
        }
        const auto wanted = host_sum(count, [&](auto lane) { return lane_values(step, lane, count); });
        EXPECT_TRUE(same_bits(reducer.finalize(), wanted)) << count << " elements, step " << step;
      }
      nccl.finish();
    });
}

TEST_P(NcclCases, TheLibrarysOrderAddsTheSameNumbers) {
  constexpr std::size_t kCount = 1001;
  run([&](Communicator& world, const NcclFunctions& functions) {
    NcclCommunicator nccl(world, kLimit, functions);
    const auto lanes = lanes_of(kLanes, world.rank(), ranks);
    NcclReducer reducer(nccl, lanes, kCount, DeviceSum::nccl, "any");
    for (const bool whole : {true, false}) {
      const auto values = [&](std::int64_t lane) {
        return whole ? block(static_cast<int>(lane), 0, kCount) : lane_values(0, lane, kCount);
      };
      for (std::int64_t lane = 0; lane < lanes.owned; ++lane) {
        std::ranges::copy(values(lanes.first + lane), reducer.lane().begin());
        reducer.add();
      }
      const auto wanted = host_sum(kCount, values);
      const auto sum = reducer.finalize();
      // Whole numbers in any order, and two ranks' sums, have but one result.
      EXPECT_TRUE((!whole && ranks > 2) || same_bits(sum, wanted));
      for (std::size_t i = 0; i < kCount; ++i) EXPECT_NEAR(sum[i], wanted[i], 1e-5 * 4) << i;
      // All ranks hold the same bits in any case.
      std::vector<float> all(kCount * index(ranks));
      world.gather_blocks("sums", sum, all);
      for (int rank = 0; rank < ranks; ++rank)
        EXPECT_TRUE(same_bits(std::span(all).subspan(index(rank) * kCount, kCount), sum)) << rank;
    }
    nccl.finish();
  });
}

TEST_P(NcclCases, ForgottenLanesAreNoticed) {
  run([&](Communicator& world, const NcclFunctions& functions) {
    NcclCommunicator nccl(world, kLimit, functions);
    const auto lanes = lanes_of(2 * ranks, world.rank(), ranks);
    NcclReducer reducer(nccl, lanes, 8, DeviceSum::nccl, "half");
    EXPECT_EQ(code_of([&] { reducer.add(); }), ExitCode::internal);  // nothing was written
    const auto add = [&] {
      std::ranges::copy(block(0, 0, 8), reducer.lane().begin());
      reducer.add();
    };
    for (int step = 0; step < 2; ++step) {
      add();
      EXPECT_EQ(code_of([&] { reducer.add(); }), ExitCode::internal);  // nothing new was written
      EXPECT_EQ(code_of([&] { reducer.finalize(); }), ExitCode::internal);
      add();
      EXPECT_EQ(code_of([&] { reducer.lane(); }), ExitCode::internal);  // one too many
      EXPECT_EQ(code_of([&] { reducer.add_device(nullptr, nccl.stream()); }), ExitCode::internal);
      EXPECT_EQ(code_of([&] { reducer.finalize(); }), ExitCode::done);
    }
    nccl.finish();
  });
}

TEST_P(NcclCases, NothingIsCalledAfterTheEnd) {
  run([&](Communicator& world, const NcclFunctions& functions) {
    NcclCommunicator nccl(world, kLimit, functions);
    void* data = nullptr;
    ASSERT_EQ(functions.allocate(&data, 4), cudaSuccess);
    auto* values = static_cast<float*>(data);
    nccl.finish();
    EXPECT_EQ(code_of([&] { nccl.all_reduce("late", values, 1); }), ExitCode::internal);
    EXPECT_EQ(code_of([&] { nccl.exchange("late", values, values, 0); }), ExitCode::internal);
    EXPECT_EQ(code_of([&] { nccl.gather_blocks("late", values, values, 0); }), ExitCode::internal);
    EXPECT_EQ(code_of([&] { nccl.settle("late"); }), ExitCode::internal);
    EXPECT_EQ(code_of([&] { nccl.finish(); }), ExitCode::internal);
    EXPECT_FALSE(nccl.stuck());
    functions.free(data);
  });
}

TEST_P(NcclPeers, ARankThatDoesNotComeIsNotWaitedForForEver) {
  run([&](Communicator& world, const NcclFunctions& functions) {
    // The start has the limit too, so it leaves a loaded machine some time.
    NcclCommunicator nccl(world, 3, functions);
    const DeviceValues values(nccl, block(0, 0, 10));
    nccl.all_reduce("first", values.get(), 10);
    if (world.rank() + 1 < ranks) expect_no_sum(nccl, values.get());
    world.barrier("all are through");
  });
}

}  // namespace langrun
