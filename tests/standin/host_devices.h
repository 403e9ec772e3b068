// A test part: memory, streams and events of GPUs that are none.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/standin/host_stream.h"

namespace langrun {

/// Each thread that calls has a GPU of its own. Functions behave as CUDA's of that name, within the rules that
/// nccl_host.h gives.
class HostDevices {
 public:
  using Device = std::thread::id;

  /// `memory` in bytes, of each GPU.
  explicit HostDevices(std::size_t memory) : limit_(memory) {}
  /// Waits for all streams, those destroyed included.
  void close();

  cudaError_t stream_create(cudaStream_t* stream);
  cudaError_t stream_destroy(cudaStream_t stream);
  cudaError_t stream_wait_event(cudaStream_t stream, cudaEvent_t event);
  cudaError_t event_create(cudaEvent_t* event);
  cudaError_t event_destroy(cudaEvent_t event);
  cudaError_t event_record(cudaEvent_t event, cudaStream_t stream);
  cudaError_t event_query(cudaEvent_t event);
  cudaError_t allocate(void** data, std::size_t bytes);
  cudaError_t free(void* data);
  cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
  cudaError_t fill(void* data, int value, std::size_t bytes, cudaStream_t stream);
  cudaError_t add(float* sum, const float* other, std::size_t count, cudaStream_t stream);

  /// The stream, where it is one of this GPU that was not destroyed; else null.
  std::shared_ptr<HostStream> find(cudaStream_t stream, Device device) const;
  /// Whether these bytes are memory of this GPU.
  bool holds(const void* data, std::size_t bytes, Device device) const;

  struct Counts {
    std::size_t streams = 0, events = 0, blocks = 0, endless_frees = 0;
  };
  /// What was made and not given back.
  Counts counts() const;

 private:
  struct Block {
    std::vector<std::byte> bytes;
    Device device;
  };
  struct Stream {
    std::shared_ptr<HostStream> queue;
    Device device;
  };
  const Block* block_of(const void* data, std::size_t bytes) const;

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::map<cudaStream_t, Stream> streams_;
  std::vector<Stream> destroyed_;  // what was on them still runs
  std::map<cudaEvent_t, std::unique_ptr<HostEvent>> events_;
  std::map<const void*, Block> blocks_;
  std::map<Device, std::size_t> taken_;  // bytes
  std::size_t endless_frees_ = 0;
};

}  // namespace langrun
