// What NcclCommunicator and NcclReducer do when something goes wrong: say what, give the communicator up, leave
// nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <string>

#include "core/error.h"
#include "distributed/nccl_communicator.h"
#include "distributed/nccl_reducer.h"
#include "tests/standin/device_values.h"
#include "tests/standin/nccl_host.h"
#include "tests/standin/thread_ranks.h"

namespace langrun {
namespace {

using What = NcclFault::What;
using Texts = std::vector<std::string>;

constexpr double kShort = 2;   // seconds, for what is to run into its limit
constexpr double kLong = 120;  // for what is not

ExitCode code_of(const std::function<void()>& part) {
  try {
    part();
  } catch (const Error& error) {
    return error.code();
  }
  return ExitCode::done;
}

// Runs `part` on every rank with a communicator, and gives what each rank threw.
Texts run(int ranks, double limit, const NcclFunctions& functions, const std::function<void(NcclCommunicator&)>& part) {
  Texts texts;
  const auto thrown = run_ranks(ranks, [&](Communicator& world) {
    NcclCommunicator nccl(world, limit, functions);
    part(nccl);
  });
  for (const auto& one : thrown) {
    texts.push_back(text_of(one));
    EXPECT_TRUE(!one || code_of([&] { std::rethrow_exception(one); }) == ExitCode::rank) << texts.back();
  }
  return texts;
}

// As above, for ranks that sum `sums` times and finish.
Texts sum(int ranks, double limit, const NcclFunctions& functions, int sums = 3) {
  return run(ranks, limit, functions, [&](NcclCommunicator& nccl) {
    const DeviceValues values(nccl, std::vector<float>(10, 1.0f));
    for (int i = 0; i < sums; ++i) nccl.all_reduce("sum " + std::to_string(i), values.get(), 10);
    nccl.finish();
  });
}

void expect_parts(const std::string& text, std::initializer_list<const char*> parts) {
  for (const auto* part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
}

TEST(NcclPlaces, AreAmongThoseOfTheRanksCollectives) {
  NcclHost host;
  using End = ElsewhereCall::End;
  const auto thrown = run_ranks(2, [&](Communicator& world) {
    NcclCommunicator nccl(world, kLong, host.functions());
    const DeviceValues values(nccl, std::vector<float>(10, 1.0f));
    nccl.all_reduce("sum", values.get(), 10);
    nccl.settle("nothing of others");
    nccl.finish();
    const auto& calls = elsewhere_of(world);
    ASSERT_EQ(calls.size(), 3u);
    EXPECT_EQ(calls[0].name, "start of NCCL");
    EXPECT_EQ(calls[1].name, "NCCL: sum");
    EXPECT_EQ(calls[2].name, "NCCL: end of NCCL");
    for (const auto& call : calls) EXPECT_EQ(call.end, End::through);
  });
  for (const auto& one : thrown) EXPECT_EQ(text_of(one), "");
}

TEST(NcclPlaces, WhoWaitsTooLongAsksTheOthersBeforeItGivesUp) {
  NcclHost host({{What::start_endless, 1}});
  const auto thrown = run_ranks(2, [&](Communicator& world) {
    const auto given_up = [&] {
      const auto& calls = elsewhere_of(world);
      ASSERT_EQ(calls.size(), 1u);
      EXPECT_EQ(calls[0].end, ElsewhereCall::End::given_up);
      EXPECT_TRUE(calls[0].looked_after);
    };
    if (world.rank() == 0) {
      NcclCommunicator(world, kLong, host.functions());
      return;
    }
    EXPECT_EQ(code_of([&] { NcclCommunicator(world, kShort, host.functions()); }), ExitCode::rank);
    given_up();
  });
  for (const auto& one : thrown) EXPECT_EQ(text_of(one), "");
}

TEST(NcclStart, NoUniqueIdIsEveryRanksError) {
  NcclHost host;
  auto functions = host.functions();
  functions.get_unique_id = [](ncclUniqueId*) { return ncclSystemError; };
  for (const auto& text : sum(2, kLong, functions)) expect_parts(text, {"NCCL does not start: unhandled system error"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclStart, ARankWithoutAStreamIsEveryRanksError) {
  NcclHost host;
  const auto thrown = run_ranks(2, [&](Communicator& world) {
    auto functions = host.functions();
    if (world.rank() == 1) functions.event_create = [](cudaEvent_t*, unsigned) { return cudaErrorMemoryAllocation; };
    NcclCommunicator nccl(world, kLong, functions);
  });
  for (const auto& one : thrown) expect_parts(text_of(one), {"no stream: CUDA: out of memory", "[on rank 1"});
  EXPECT_EQ(host.leftovers(), "");  // neither rank 1's stream, nor what rank 0 had
}

TEST(NcclStart, IsRefusedOnOneRank) {
  NcclHost host({{What::start_refused, 1}});
  const auto texts = sum(2, kShort, host.functions());
  expect_parts(texts[0], {"'start of NCCL' (number 1) on rank 0 of 2", "has waited 2 s"});
  expect_parts(texts[1], {"'start of NCCL' (number 1) on rank 1 of 2", "failed: unhandled system error"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclStart, FailsAfterItWasAccepted) {
  NcclHost host({{What::start_fails, 0, 1, ncclRemoteError}});
  const auto texts = sum(2, kShort, host.functions());
  expect_parts(texts[0], {"'start of NCCL'", "on rank 0 of 2 failed: remote process exited", "start fails"});
  EXPECT_NE(texts[1], "");  // its sums wait for rank 0
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclStart, HasTheLimitToo) {
  NcclHost host({{What::start_endless, 1}});
  const auto texts = sum(2, kShort, host.functions());
  expect_parts(texts[1], {"'start of NCCL' (number 1) on rank 1 of 2", "has waited 2 s"});
  EXPECT_EQ(host.leftovers(), "");  // aborted while it was in progress
}

TEST(NcclErrors, OfOneRankNameTheCollective) {
  NcclHost host({{What::kernel_fails, 1, 2, ncclRemoteError}});
  const auto texts = sum(2, kShort, host.functions());
  expect_parts(texts[0], {"'sum 1' (number 3) on rank 0 of 2", "has waited 2 s"});
  expect_parts(texts[1], {"'sum 1' (number 3) on rank 1 of 2", "failed: remote process exited", "kernel fails"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclErrors, KnownOnlyWhenTheKernelIsDoneCountToo) {
  NcclHost host({{What::late_error, 0, 2}});
  const auto texts = sum(2, kShort, host.functions());
  expect_parts(texts[0], {"'sum 1' (number 3) on rank 0 of 2", "failed: unhandled system error", "late error"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclErrors, OfTheQuestionEndTheWaiting) {
  NcclHost host;
  auto functions = host.functions();
  functions.comm_get_async_error = [](ncclComm_t, ncclResult_t*) { return ncclInternalError; };
  const auto texts = sum(1, 0, functions);  // no limit: only the error can end it
  expect_parts(texts[0], {"'start of NCCL'", "failed: internal error"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclErrors, OfCudaGiveTheCommunicatorUp) {
  for (const bool recording : {true, false}) {
    NcclHost host;
    auto functions = host.functions();
    if (recording)
      functions.event_record = [](cudaEvent_t, cudaStream_t) { return cudaErrorLaunchFailure; };
    else
      functions.event_query = [](cudaEvent_t) { return cudaErrorIllegalAddress; };
    run(1, kLong, functions, [&](NcclCommunicator& nccl) {
      const auto f = host.functions();
      void* values = nullptr;
      f.allocate(&values, 40);
      EXPECT_EQ(code_of([&] { nccl.all_reduce("sum", static_cast<float*>(values), 10); }), ExitCode::rank);
      EXPECT_EQ(host.leftovers(), "1 streams, 1 events, 1 blocks of memory");  // no communicator
      EXPECT_EQ(code_of([&] { nccl.all_reduce("next", static_cast<float*>(values), 10); }), ExitCode::rank);
      f.free(values);
    });
    EXPECT_EQ(host.leftovers(), "");
  }
}

TEST(NcclErrors, LeaveNoGroupOpen) {
  for (const int sends : {0, 1, 2}) {
    NcclHost host;
    auto functions = host.functions();
    functions.send = [real = host.functions().send, left = std::make_shared<int>(sends)](
                         const void* data, std::size_t count, auto type, int peer, auto comm, auto stream) {
      return --*left < 0 ? ncclInvalidArgument : real(data, count, type, peer, comm, stream);
    };
    const auto texts = run(1, kLong, functions, [&](NcclCommunicator& nccl) {
      const DeviceValues send(nccl, 10), receive(nccl, 10);
      for (int i = 0; i < 3; ++i) nccl.exchange("exchange " + std::to_string(i), send.get(), receive.get(), 10);
    });
    expect_parts(texts[0], {("'exchange " + std::to_string(sends) + "'").c_str(), "failed: invalid argument"});
    EXPECT_EQ(host.leftovers(), "");
  }
}

TEST(NcclErrors, OfAGroupsStartAndEnd) {
  NcclHost host;
  auto starts = host.functions(), ends = host.functions();
  starts.group_start = [] { return ncclSystemError; };
  ends.group_end = [end = host.functions().group_end] { return end(), ncclSystemError; };
  for (const auto& functions : {starts, ends}) {
    const auto texts = run(1, kLong, functions, [](NcclCommunicator& nccl) {
      const DeviceValues send(nccl, 10), receive(nccl, 10);
      nccl.exchange("exchange", send.get(), receive.get(), 10);
    });
    expect_parts(texts[0], {"'exchange' (number 2)", "failed: unhandled system error"});
    EXPECT_EQ(host.leftovers(), "");
  }
}

TEST(NcclOrder, RanksThatDifferAreFoundOut) {
  using Part = std::function<void(NcclCommunicator&, float* values)>;
  const Part sum_of_9 = [](auto& nccl, float* values) { nccl.all_reduce("a", values, 9); };
  const Part sum_of_10 = [](auto& nccl, float* values) { nccl.all_reduce("b", values, 10); };
  const Part gather = [](auto& nccl, float* values) { nccl.gather_blocks("c", values, values + 100, 10); };
  const Part exchange = [](auto& nccl, float* values) { nccl.exchange("d", values, values + 100, 10); };
  const Part exchange_of_9 = [](auto& nccl, float* values) { nccl.exchange("e", values, values + 100, 9); };
  const std::vector<std::pair<Part, Part>> pairs{
      {sum_of_9, sum_of_10}, {sum_of_9, gather}, {exchange, exchange_of_9}, {exchange, gather}};
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    NcclHost host;
    const auto texts = run(2, kLong, host.functions(), [&](NcclCommunicator& nccl) {
      const DeviceValues values(nccl, std::vector<float>(200, 1.0f));
      (nccl.rank() == 0 ? pairs[p].first : pairs[p].second)(nccl, values.get());
    });
    for (const auto& text : texts) expect_parts(text, {"failed: invalid usage", "rank 0", "rank 1"});
    EXPECT_EQ(host.leftovers(), "") << p;
  }
}

TEST(NcclLimit, HoldsForTheHostsPartToo) {
  NcclHost host({{What::host_endless, 0, 2}});
  const auto texts = sum(1, kShort, host.functions());
  expect_parts(texts[0], {"'sum 1' (number 3) on rank 0 of 1", "has waited 2 s"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclLimit, LeavesASlowRankItsTime) {
  NcclHost host({{What::slow, 1, 2, ncclSuccess, 1.0}});
  for (const auto limit : {0.0, kLong})
    for (const auto& text : sum(2, limit, host.functions())) EXPECT_EQ(text, "");
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclEnd, IsWaitedForNoLongerThanTheLimit) {
  NcclHost host;
  const auto texts = run(2, kShort, host.functions(), [](NcclCommunicator& nccl) {
    if (nccl.rank() == 0) nccl.finish();
  });
  expect_parts(texts[0], {"'end of NCCL' (number 2) on rank 0 of 2", "has waited 2 s"});
  EXPECT_EQ(texts[1], "");
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclEnd, MayFail) {
  NcclHost host;
  auto functions = host.functions();
  functions.comm_destroy = [destroy = functions.comm_destroy](ncclComm_t comm) {
    return destroy(comm), ncclUnhandledCudaError;
  };
  const auto texts = sum(1, kLong, functions);
  expect_parts(texts[0], {"'end of NCCL' (number 5)", "failed: unhandled cuda error"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclEnd, WithoutAnEndNothingIsLeftEither) {
  NcclHost host;
  for (const auto& text : run(4, kLong, host.functions(), [](NcclCommunicator&) {})) EXPECT_EQ(text, "");
  EXPECT_EQ(host.leftovers(), "");
}

// The error must leave the rank although NCCL does not come back, and nothing may wait for a GPU that is never idle.
TEST(NcclEnd, AnAbortThatDoesNotReturnHoldsNothingUp) {
  NcclHost host({{What::abort_endless, 0}});
  const auto texts = run(2, kShort, host.functions(), [](NcclCommunicator& nccl) {
    NcclReducer reducer(nccl, lanes_of(2, nccl.rank(), 2), 10, DeviceSum::tree, "gradients");
    if (nccl.rank() == 1) return;
    std::ranges::fill(reducer.lane(), 1.0f);
    reducer.add();
    try {
      reducer.finalize();
    } catch (const Error&) {
      EXPECT_TRUE(nccl.stuck());
      throw;
    }
  });
  expect_parts(texts[0], {"'gradients: slices' (number 2) on rank 0 of 2", "has waited 2 s"});
  EXPECT_EQ(texts[1], "");
  EXPECT_EQ(host.leftovers(), "1 communicators, 3 blocks of memory");  // given up on purpose
}

TEST(NcclReducer, SaysWhereMemoryEnds) {
  NcclHost host({}, 1000);
  const auto texts = run(1, kLong, host.functions(), [](NcclCommunicator& nccl) {
    NcclReducer fits(nccl, lanes_of(1, 0, 1), 50, DeviceSum::nccl, "fits");
    NcclReducer reducer(nccl, lanes_of(1, 0, 1), 10, DeviceSum::nccl, "small");
    NcclReducer none(nccl, lanes_of(1, 0, 1), 300, DeviceSum::nccl, "none");
  });
  expect_parts(texts[0], {"on the GPU of rank 0", "1200 bytes", "out of memory"});
  EXPECT_EQ(host.leftovers(), "");
}

TEST(NcclReducer, PassesErrorsOfCopiesAndSumsOn) {
  NcclHost host;
  for (const std::string part : {"copy", "addition", "clearing"}) {
    const auto thrown = run_ranks(2, [&](Communicator& world) {
      auto functions = host.functions();
      if (part == "copy")
        functions.copy = [](void*, const void*, std::size_t, auto, auto) { return cudaErrorInvalidValue; };
      if (part == "addition") functions.add = [](float*, const float*, std::size_t, auto) { return cudaErrorNoDevice; };
      if (part == "clearing") functions.fill = [](void*, int, std::size_t, auto) { return cudaErrorInvalidValue; };
      NcclCommunicator nccl(world, kLong, functions);
      NcclReducer reducer(nccl, lanes_of(4, world.rank(), 2), 9, DeviceSum::tree, "gradients");
      for (int lane = 0; lane < 2; ++lane) {
        std::ranges::fill(reducer.lane(), 1.0f);
        reducer.add();
      }
      reducer.finalize();
    });
    for (const auto& one : thrown)
      expect_parts(text_of(one), {"reduction 'gradients' on the GPU of rank", part.c_str()});
    EXPECT_EQ(host.leftovers(), "") << part;
  }
}

}  // namespace
}  // namespace langrun
