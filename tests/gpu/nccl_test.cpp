// NCCL on one rank and one GPU: the calls, the streams and the sums. Several ranks need several GPUs.
#include "tests/gpu/gpu_test.h"

#ifdef LANGRUN_HAVE_CUDA

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "distributed/device_binding.h"
#include "distributed/nccl_communicator.h"
#include "distributed/nccl_reducer.h"

namespace langrun {
namespace {

class NcclTest : public GpuTest {
 protected:
  std::unique_ptr<Communicator> world = make_solo_communicator();
};

std::vector<float> ramp(std::size_t count, float first) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST_F(NcclTest, BindsToTheFirstGpuAlone) {
  const auto binding = bind_device(*world, "cuda");
  EXPECT_TRUE(binding.cuda);
  EXPECT_EQ(binding.index, 0);
  EXPECT_FALSE(binding.name.empty());
  int current = -1;
  ASSERT_EQ(cudaGetDevice(&current), cudaSuccess);
  EXPECT_EQ(current, 0);
}

TEST_F(NcclTest, CollectivesOfOneRankAreCopies) {
  bind_device(*world, "cuda");
  NcclCommunicator nccl(*world, 60);
  const auto values = ramp(1000, 0.5f);
  float *send = nullptr, *receive = nullptr;
  ASSERT_EQ(cudaMalloc(&send, 4000), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&receive, 4000), cudaSuccess);
  std::vector<float> back(1000);
  const auto expect_copied = [&](const float* from) {
    ASSERT_EQ(cudaMemcpy(back.data(), from, 4000, cudaMemcpyDeviceToHost), cudaSuccess);
    EXPECT_EQ(back, values);
    ASSERT_EQ(cudaMemset(receive, 0, 4000), cudaSuccess);
  };
  ASSERT_EQ(cudaMemcpy(send, values.data(), 4000, cudaMemcpyHostToDevice), cudaSuccess);
  nccl.exchange("exchange", send, receive, 1000);
  expect_copied(receive);
  nccl.gather_blocks("gather", send, receive, 1000);
  expect_copied(receive);
  nccl.all_reduce("sum", send, 1000);
  expect_copied(send);
  EXPECT_EQ(nccl.bytes_sent(), 0u);
  nccl.finish();
  EXPECT_THROW(nccl.all_reduce("late", send, 1000), Error);
  cudaFree(send);
  cudaFree(receive);
}

TEST_F(NcclTest, LanesAddToTheBitsOfTheHostTree) {
  bind_device(*world, "cuda");
  NcclCommunicator nccl(*world, 60);
  const Lanes lanes = lanes_of(4, 0, 1);
  constexpr std::size_t kElements = 100003;
  TreeReducer host(*world, lanes, kElements, "host");
  NcclReducer tree(nccl, lanes, kElements, DeviceSum::tree, "tree"),
      any(nccl, lanes, kElements, DeviceSum::nccl, "any");
  for (int lane = 0; lane < 4; ++lane) {
    auto values = ramp(kElements, 0.1f * static_cast<float>(lane));
    for (auto& value : values) value = 1.0f / (1.0f + value);
    for (Reducer* reducer : std::initializer_list<Reducer*>{&host, &tree, &any}) {
      std::copy(values.begin(), values.end(), reducer->lane().begin());
      reducer->add();
    }
  }
  const auto wanted = host.finalize();
  const auto got = tree.finalize(), other = any.finalize();
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), got.begin()));
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), other.begin()));
  nccl.finish();
}

TEST_F(NcclTest, AMissingLaneIsNotSummedSilently) {
  bind_device(*world, "cuda");
  NcclCommunicator nccl(*world, 60);
  NcclReducer reducer(nccl, lanes_of(2, 0, 1), 8, DeviceSum::nccl, "half");
  std::ranges::copy(ramp(8, 0), reducer.lane().begin());
  reducer.add();
  EXPECT_THROW(reducer.finalize(), Error);
  nccl.finish();
}

}  // namespace
}  // namespace langrun

#else

namespace langrun {
TEST_F(GpuTest, Nccl) {}
}  // namespace langrun

#endif
