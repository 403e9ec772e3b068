#include "distributed/device_binding.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace langrun {
namespace {

const DeviceClaim kNone{"a", "", "no CUDA device"};

std::string refusal(const std::string& asked, const std::vector<DeviceClaim>& claims) {
  try {
    choose_cuda(asked, claims, false);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
  return "";
}

TEST(DeviceBinding, CpuAsksNobody) { EXPECT_FALSE(choose_cuda("cpu", {{"a", "x", ""}, kNone}, false)); }

TEST(DeviceBinding, AutoTakesTheProcessorOnlyWhereNoRankSeesAGpu) {
  EXPECT_FALSE(choose_cuda("auto", {kNone, kNone}, false));
  EXPECT_TRUE(choose_cuda("auto", {{"a", "x", ""}, {"a", "y", ""}}, false));
  EXPECT_NE(refusal("auto", {{"a", "x", ""}, kNone}).find("rank 1 on a sees no GPU (no CUDA device)"),
            std::string::npos);
}

TEST(DeviceBinding, CudaWithoutAGpuIsRefusedNotDowngraded) {
  EXPECT_NE(refusal("cuda", {kNone}).find("rank 0 on a"), std::string::npos);
}

TEST(DeviceBinding, TwoRanksOnOneGpuAreRefusedUnlessShared) {
  const std::vector<DeviceClaim> same{{"a", "x", ""}, {"a", "y", ""}, {"a", "x", ""}};
  EXPECT_NE(refusal("cuda", same).find("ranks 0 and 2 on a would share one GPU"), std::string::npos);
  EXPECT_TRUE(choose_cuda("cuda", same, true));
}

TEST(DeviceBinding, EqualNumbersOnTwoHostsAreTwoGpus) {
  EXPECT_TRUE(choose_cuda("cuda", {{"a", "x", ""}, {"b", "x", ""}}, false));
}

TEST(DeviceBinding, OneProcessBindsToTheProcessor) {
  const auto world = make_solo_communicator();
  const auto binding = bind_device(*world, "cpu");
  EXPECT_FALSE(binding.cuda);
  EXPECT_EQ(binding.name, "cpu");
}

}  // namespace
}  // namespace langrun
