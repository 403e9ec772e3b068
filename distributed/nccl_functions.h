// What this program calls of NCCL, and of CUDA beside it, as one table: the libraries' own functions, or those of a
// stand-in over host memory, with which tests run several ranks where there is no GPU.
#pragma once

#include <cuda_runtime.h>
#include <nccl.h>

#include <cstddef>
#include <functional>

namespace langrun {

/// Each entry does what the function it is named after does, with the same arguments, and is called by the same rules.
/// All are set.
struct NcclFunctions {
  // Communicators.
  std::function<decltype(ncclGetUniqueId)> get_unique_id;
  std::function<decltype(ncclCommInitRankConfig)> comm_init_rank_config;
  std::function<decltype(ncclCommGetAsyncError)> comm_get_async_error;
  std::function<decltype(ncclCommFinalize)> comm_finalize;
  std::function<decltype(ncclCommDestroy)> comm_destroy;
  std::function<decltype(ncclCommAbort)> comm_abort;
  std::function<decltype(ncclGetErrorString)> error_string;
  std::function<decltype(ncclGetLastError)> last_error;

  // What they exchange.
  std::function<decltype(ncclGroupStart)> group_start;
  std::function<decltype(ncclGroupEnd)> group_end;
  std::function<decltype(ncclSend)> send;
  std::function<decltype(ncclRecv)> receive;
  std::function<decltype(ncclAllReduce)> all_reduce;
  std::function<decltype(ncclAllGather)> all_gather;

  // Streams and events.
  std::function<decltype(cudaStreamCreateWithFlags)> stream_create;
  std::function<decltype(cudaStreamDestroy)> stream_destroy;
  std::function<decltype(cudaStreamWaitEvent)> stream_wait_event;
  std::function<decltype(cudaEventCreateWithFlags)> event_create;
  std::function<decltype(cudaEventDestroy)> event_destroy;
  std::function<decltype(cudaEventRecord)> event_record;
  std::function<decltype(cudaEventQuery)> event_query;
  std::function<decltype(cudaGetErrorString)> cuda_error_string;

  // Memory, and the sums in it.
  std::function<cudaError_t(void** data, std::size_t bytes)> allocate;  // cudaMalloc
  std::function<decltype(cudaFree)> free;
  std::function<decltype(cudaMemcpyAsync)> copy;
  std::function<decltype(cudaMemsetAsync)> fill;
  /// sum [count] += other [count] (distributed/device_sum.h)
  std::function<cudaError_t(float* sum, const float* other, std::size_t count, cudaStream_t stream)> add;
};

/// Those of the libraries this program is linked to.
NcclFunctions real_nccl_functions();

}  // namespace langrun
