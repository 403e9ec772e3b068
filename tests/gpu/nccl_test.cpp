// NCCL itself: the cases that unit tests run over host memory, with a rank on each of as many GPUs as there are.
#include "tests/gpu/gpu_test.h"

#ifdef LANGRUN_HAVE_CUDA

#include <string>

#include "distributed/device_binding.h"
#include "tests/standin/nccl_cases.h"

namespace langrun {
namespace {

class GpuPlace final : public NcclPlace {
 public:
  std::string unfit(int ranks) const override {
    int count = 0;
    const auto code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess) return std::string("no GPU: ") + cudaGetErrorString(code);
    return count < ranks ? std::to_string(ranks) + " ranks want a GPU each, here are " + std::to_string(count) : "";
  }
  NcclFunctions take(Communicator& world) override {
    bind_device(world, "cuda");
    return real_nccl_functions();
  }
  std::string leftovers() const override { return {}; }  // CUDA does not say
};

NcclSetting on(int ranks) {
  return {"Ranks" + std::to_string(ranks), ranks, [] { return std::make_unique<GpuPlace>(); }};
}

INSTANTIATE_TEST_SUITE_P(Gpu, NcclCases, testing::Values(on(1), on(2), on(4)),
                         [](const auto& setting) { return setting.param.name; });
INSTANTIATE_TEST_SUITE_P(Gpu, NcclPeers, testing::Values(on(2), on(4)),
                         [](const auto& setting) { return setting.param.name; });

class BindingTest : public GpuTest {};

TEST_F(BindingTest, TakesTheFirstGpuAlone) {
  const auto world = make_solo_communicator();
  const auto binding = bind_device(*world, "cuda");
  EXPECT_TRUE(binding.cuda);
  EXPECT_EQ(binding.index, 0);
  EXPECT_FALSE(binding.name.empty());
  int current = -1;
  ASSERT_EQ(cudaGetDevice(&current), cudaSuccess);
  EXPECT_EQ(current, 0);
}

}  // namespace
}  // namespace langrun

#else

namespace langrun {
TEST_F(GpuTest, Nccl) {}
}  // namespace langrun

#endif
