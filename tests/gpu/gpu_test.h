// Tests that want a GPU derive from GpuTest; without one they are skipped, with the reason.
#pragma once

#include <gtest/gtest.h>

#ifdef LANGRUN_HAVE_CUDA
#include <cuda_runtime.h>
#endif

namespace langrun {

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef LANGRUN_HAVE_CUDA
    int count = 0;
    const auto code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess) GTEST_SKIP() << "no GPU: " << cudaGetErrorString(code);
    if (count == 0) GTEST_SKIP() << "no GPU: CUDA counts none";
#else
    GTEST_SKIP() << "built without CUDA (LANGRUN_CUDA=OFF)";
#endif
  }
};

}  // namespace langrun
