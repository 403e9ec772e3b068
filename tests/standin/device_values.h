// A test part: float32 vectors on a rank's device, through the table of functions.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "distributed/nccl_communicator.h"
#include "distributed/nccl_functions.h"

namespace langrun {

/// float32 [count] on the device of `nccl`, freed at the end.
class DeviceValues {
 public:
  DeviceValues(NcclCommunicator& nccl, std::size_t count) : nccl_(nccl), count_(count) {
    void* data = nullptr;
    if (nccl.functions().allocate(&data, count * sizeof(float)) != cudaSuccess) throw std::bad_alloc();
    data_ = static_cast<float*>(data);
  }
  DeviceValues(NcclCommunicator& nccl, std::span<const float> values) : DeviceValues(nccl, values.size()) {
    put(values);
  }
  ~DeviceValues() {
    if (!nccl_.stuck()) nccl_.functions().free(data_);
  }
  DeviceValues(const DeviceValues&) = delete;
  DeviceValues& operator=(const DeviceValues&) = delete;

  float* get() const { return data_; }
  /// Both wait for the copy.
  void put(std::span<const float> values) {
    nccl_.functions().copy(data_, values.data(), values.size_bytes(), cudaMemcpyHostToDevice, nccl_.stream());
    nccl_.settle("put");
  }
  std::vector<float> values() const {
    std::vector<float> host(count_);
    nccl_.functions().copy(host.data(), data_, count_ * sizeof(float), cudaMemcpyDeviceToHost, nccl_.stream());
    nccl_.settle("values");
    return host;
  }

 private:
  NcclCommunicator& nccl_;
  std::size_t count_;
  float* data_ = nullptr;
};

}  // namespace langrun
