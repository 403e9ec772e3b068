#include "core/noise.h"

#include "tests/gpu/gpu_test.h"

#ifdef LANGRUN_HAVE_CUDA

#include <bit>
#include <cmath>
#include <vector>

#include "core/noise_cuda.h"

namespace langrun {
namespace {

// Device memory of one test.
class DeviceFloats {
 public:
  explicit DeviceFloats(const std::vector<float>& values) : count_(values.size()) {
    EXPECT_EQ(cudaMalloc(&data_, count_ * sizeof(float)), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, values.data(), count_ * sizeof(float), cudaMemcpyHostToDevice), cudaSuccess);
  }
  DeviceFloats(const DeviceFloats&) = delete;
  DeviceFloats& operator=(const DeviceFloats&) = delete;
  ~DeviceFloats() { cudaFree(data_); }
  float* data() { return static_cast<float*>(data_); }
  std::vector<float> read() const {
    std::vector<float> values(count_);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, count_ * sizeof(float), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  void* data_ = nullptr;
  std::size_t count_;
};

class NoiseOnDevice : public GpuTest {
 protected:
  // More rows than one launch takes, and a row length that is not a multiple of a group.
  static std::vector<std::uint64_t> identities() {
    std::vector<std::uint64_t> rows;
    for (std::uint64_t b = 0; b < 300; ++b) rows.push_back(chain_identity(7 * b, b % 5));
    return rows;
  }
  static constexpr std::int64_t kLength = 3 * 17 * 19;
  const NoiseKey key_ = noise_key(11, Stream::langevin, 1);
};

std::size_t differing(const std::vector<float>& a, const std::vector<float>& b) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    count += std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i]);
  return count;
}

TEST_F(NoiseOnDevice, NormalsEqualTheProcessors) {
  const auto rows = identities();
  std::vector<float> expected(rows.size() * kLength);
  for (std::size_t b = 0; b < rows.size(); ++b)
    fill_normal(key_, {rows[b], 9}, std::span(expected).subspan(b * kLength, kLength));
  DeviceFloats out(std::vector<float>(expected.size(), -9.0f));
  fill_normal_on_device(key_, rows, 9, out.data(), kLength);
  EXPECT_EQ(differing(out.read(), expected), 0u);
}

}  // namespace
}  // namespace langrun
#endif
