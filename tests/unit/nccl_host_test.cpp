// The stand-in itself: it is as strict as NCCL and CUDA are, or stricter, so that what passes on it can be trusted.
#include "tests/standin/nccl_host.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "distributed/agreement.h"
#include "tests/standin/thread_ranks.h"

namespace langrun {
namespace {

// One rank's communicator, stream and memory, used directly.
struct Rank {
  NcclFunctions f;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  float* values = nullptr;  // [1000], as new

  Rank(Communicator& world, const NcclHost& host) : f(host.functions()) {
    const auto text = on_root(world, "id", [&] {
      ncclUniqueId id{};
      f.get_unique_id(&id);
      return std::string(id.internal, sizeof(id.internal));
    });
    ncclUniqueId id{};
    text.copy(id.internal, sizeof(id.internal));
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    EXPECT_EQ(f.comm_init_rank_config(&comm, world.size(), id, world.rank(), &config), ncclInvalidUsage);  // blocking
    config.blocking = 0;
    EXPECT_EQ(f.comm_init_rank_config(&comm, world.size(), id, world.rank(), &config), ncclInProgress);
    EXPECT_EQ(f.all_gather(values, values, 0, ncclFloat, comm, stream), ncclInvalidArgument);  // it is not there yet
    EXPECT_EQ(settled(), ncclSuccess);
    f.stream_create(&stream, cudaStreamNonBlocking);
    f.event_create(&event, cudaEventDisableTiming);
    void* data = nullptr;
    f.allocate(&data, 4000);
    values = static_cast<float*>(data);
  }
  ~Rank() {
    f.comm_abort(comm);
    f.free(values);
    f.event_destroy(event);
    f.stream_destroy(stream);
  }

  // The error state once it is no longer in progress; the first answer says that it is.
  ncclResult_t settled() {
    ncclResult_t state = ncclSuccess;
    EXPECT_EQ(f.comm_get_async_error(comm, &state), ncclSuccess);
    EXPECT_EQ(state, ncclInProgress);
    while (state == ncclInProgress) EXPECT_EQ(f.comm_get_async_error(comm, &state), ncclSuccess);
    return state;
  }
  // Waits for the stream, or for an error of the communicator.
  ncclResult_t done() {
    f.event_record(event, stream);
    EXPECT_EQ(f.event_query(event), cudaErrorNotReady);
    auto state = ncclSuccess;
    while (state == ncclSuccess && f.event_query(event) == cudaErrorNotReady) f.comm_get_async_error(comm, &state);
    return state;
  }
  ncclResult_t send(int peer, std::size_t count = 10) { return f.send(values, count, ncclFloat, peer, comm, stream); }
  ncclResult_t receive(int peer, std::size_t count = 10) {
    return f.receive(values + 500, count, ncclFloat, peer, comm, stream);
  }
};

void on_ranks(int ranks, NcclHost& host, const std::function<void(Rank&, int rank)>& part) {
  for (const auto& thrown : run_ranks(ranks, [&](Communicator& world) {
         Rank rank(world, host);
         part(rank, world.rank());
         world.barrier("end");
       }))
    EXPECT_EQ(text_of(thrown), "");
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclHost, CallsAreInProgressAndKernelsOnTheStreamOnlyAfterwards) {
  NcclHost host;
  on_ranks(1, host, [](Rank& r, int) {
    r.f.fill(r.values, 0, 4000, r.stream);
    EXPECT_EQ(r.f.all_gather(r.values, r.values + 10, 10, ncclFloat, r.comm, r.stream), ncclInProgress);
    EXPECT_EQ(r.f.all_gather(r.values, r.values + 10, 10, ncclFloat, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_EQ(r.f.comm_finalize(r.comm), ncclInvalidArgument);
    EXPECT_EQ(r.settled(), ncclSuccess);
    EXPECT_EQ(r.done(), ncclSuccess);
    EXPECT_EQ(r.f.comm_destroy(r.comm), ncclInvalidUsage);  // not finalised
  });
}

TEST(NcclHost, SendsThatNeedEachOtherBelongIntoAGroup) {
  NcclHost host;
  on_ranks(2, host, [](Rank& r, int rank) {
    EXPECT_EQ(r.f.group_start(), ncclSuccess);
    EXPECT_EQ(r.f.group_start(), ncclSuccess);  // a group within a group is part of it
    EXPECT_EQ(r.send(1 - rank), ncclSuccess);
    EXPECT_EQ(r.f.group_end(), ncclSuccess);
    EXPECT_EQ(r.receive(1 - rank), ncclSuccess);
    EXPECT_EQ(r.f.group_end(), ncclInProgress);
    EXPECT_EQ(r.settled(), ncclSuccess);
    EXPECT_EQ(r.done(), ncclSuccess);
    EXPECT_EQ(r.f.group_end(), ncclInvalidUsage);  // none is open

    EXPECT_EQ(r.send(1 - rank), ncclInProgress);
    EXPECT_EQ(r.settled(), ncclSuccess);
    EXPECT_EQ(r.done(), ncclInvalidUsage);
    EXPECT_NE(std::string(r.f.last_error(r.comm)).find("all ranks wait for each other"), std::string::npos);
  });
}

TEST(NcclHost, SendsGoToTheirPeerInOrder) {
  NcclHost host;
  on_ranks(3, host, [](Rank& r, int rank) {
    r.f.fill(r.values, rank, 4000, r.stream);
    for (int i = 0; i < 3; ++i) {  // around the circle, one after the other: rank 0 begins
      EXPECT_EQ(rank == 0 ? r.send(1) : r.receive(rank - 1), ncclInProgress);
      EXPECT_EQ(r.settled(), ncclSuccess);
      EXPECT_EQ(r.done(), ncclSuccess);
      EXPECT_EQ(rank == 0 ? r.receive(2) : r.send((rank + 1) % 3), ncclInProgress);
      EXPECT_EQ(r.settled(), ncclSuccess);
      EXPECT_EQ(r.done(), ncclSuccess);
    }
    std::vector<unsigned char> got(40);
    r.f.copy(got.data(), r.values + 500, 40, cudaMemcpyDeviceToHost, r.stream);
    EXPECT_EQ(r.done(), ncclSuccess);
    EXPECT_EQ(got, std::vector<unsigned char>(40, static_cast<unsigned char>((rank + 2) % 3)));
  });
}

TEST(NcclHost, ARefusedCallSpoilsItsGroup) {
  NcclHost host;
  on_ranks(1, host, [](Rank& r, int) {
    r.f.group_start();
    EXPECT_EQ(r.send(0), ncclSuccess);
    EXPECT_EQ(r.receive(1), ncclInvalidArgument);  // no such rank
    EXPECT_EQ(r.f.comm_abort(r.comm), ncclInvalidUsage);
    EXPECT_EQ(r.f.group_end(), ncclInvalidArgument);
    ncclResult_t state = ncclInProgress;
    EXPECT_EQ(r.f.comm_get_async_error(r.comm, &state), ncclSuccess);
    EXPECT_EQ(state, ncclSuccess);  // nothing was begun
  });
}

TEST(NcclHost, OnlyMemoryOfTheOwnGpuIsTaken) {
  NcclHost host;
  on_ranks(1, host, [](Rank& r, int) {
    std::vector<float> mine(1000);
    const auto sum = [&](float* from, std::size_t count) {
      return r.f.all_reduce(from, r.values, count, ncclFloat, ncclSum, r.comm, r.stream);
    };
    EXPECT_EQ(sum(mine.data(), 10), ncclInvalidArgument);
    EXPECT_EQ(sum(r.values + 1, 1000), ncclInvalidArgument);  // beyond the end
    EXPECT_EQ(r.f.add(r.values, mine.data(), 10, r.stream), cudaErrorInvalidValue);
    EXPECT_EQ(r.f.fill(r.values, 0, 4001, r.stream), cudaErrorInvalidValue);
    EXPECT_EQ(r.f.copy(r.values, mine.data(), 40, cudaMemcpyDeviceToDevice, r.stream), cudaErrorInvalidValue);
    EXPECT_EQ(r.f.copy(mine.data(), r.values, 40, cudaMemcpyDeviceToHost, r.stream), cudaSuccess);
    EXPECT_EQ(r.done(), ncclSuccess);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(std::isnan(mine[static_cast<std::size_t>(i)]));  // never written
  });
}

TEST(NcclHost, AbortEndsKernelsAndTheHandle) {
  NcclHost host;
  on_ranks(2, host, [](Rank& r, int rank) {
    if (rank == 1) return;  // never comes
    EXPECT_EQ(r.f.all_reduce(r.values, r.values, 10, ncclFloat, ncclSum, r.comm, r.stream), ncclInProgress);
    EXPECT_EQ(r.settled(), ncclSuccess);
    r.f.event_record(r.event, r.stream);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(r.f.event_query(r.event), cudaErrorNotReady);
    EXPECT_EQ(r.f.comm_abort(r.comm), ncclSuccess);
    while (r.f.event_query(r.event) == cudaErrorNotReady) continue;
    auto state = ncclSuccess;
    EXPECT_EQ(r.f.comm_get_async_error(r.comm, &state), ncclInvalidArgument);
    EXPECT_EQ(r.f.all_reduce(r.values, r.values, 10, ncclFloat, ncclSum, r.comm, r.stream), ncclInvalidArgument);
  });
}

TEST(NcclHost, LeftoversAreCounted) {
  NcclHost host;
  const auto f = host.functions();
  cudaStream_t stream = nullptr;
  void* data = nullptr;
  f.stream_create(&stream, cudaStreamNonBlocking);
  f.allocate(&data, 8);
  f.group_start();
  EXPECT_EQ(host.leftovers(), "1 streams, 1 blocks of memory, 1 open groups");
}

}  // namespace
}  // namespace langrun
