// NcclCommunicator and NcclReducer over host memory, on one, two and four ranks.
#include <gtest/gtest.h>

#include "core/error.h"
#include "distributed/nccl_communicator.h"
#include "tests/standin/nccl_cases.h"
#include "tests/standin/nccl_host.h"

namespace langrun {
namespace {

class HostPlace final : public NcclPlace {
 public:
  std::string unfit(int) const override { return {}; }
  NcclFunctions take(Communicator&) override { return host_.functions(); }
  std::string leftovers() const override { return host_.leftovers(); }

 private:
  NcclHost host_;
};

NcclSetting on(int ranks) {
  return {"Ranks" + std::to_string(ranks), ranks, [] { return std::make_unique<HostPlace>(); }};
}

INSTANTIATE_TEST_SUITE_P(Host, NcclCases, testing::Values(on(1), on(2), on(4)),
                         [](const auto& setting) { return setting.param.name; });
INSTANTIATE_TEST_SUITE_P(Host, NcclPeers, testing::Values(on(2), on(4)),
                         [](const auto& setting) { return setting.param.name; });

// The table that the program uses is complete, whether or not there is a GPU.
TEST(NcclFunctions, RealOnesAreAllThere) {
  const auto f = real_nccl_functions();
  EXPECT_TRUE(f.get_unique_id && f.comm_init_rank_config && f.comm_get_async_error && f.comm_finalize &&
              f.comm_destroy && f.comm_abort && f.error_string && f.last_error);
  EXPECT_TRUE(f.group_start && f.group_end && f.send && f.receive && f.all_reduce && f.all_gather);
  EXPECT_TRUE(f.stream_create && f.stream_destroy && f.stream_wait_event && f.event_create && f.event_destroy &&
              f.event_record && f.event_query && f.cuda_error_string);
  EXPECT_TRUE(f.allocate && f.free && f.copy && f.fill && f.add);
}

TEST(NcclFunctions, WithoutAGpuNcclDoesNotStart) {
  int gpus = 0;
  if (cudaGetDeviceCount(&gpus) == cudaSuccess && gpus > 0) GTEST_SKIP() << "there is a GPU";
  const auto world = make_solo_communicator();
  try {
    NcclCommunicator nccl(*world, 60, real_nccl_functions());
    ADD_FAILURE() << "NCCL started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::rank);
    EXPECT_NE(std::string(error.what()).find("NCCL does not start"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace langrun
