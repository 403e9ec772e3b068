#include "distributed/nccl_functions.h"

#include "distributed/device_sum.h"

namespace langrun {

NcclFunctions real_nccl_functions() {
  NcclFunctions table;
  table.get_unique_id = ncclGetUniqueId;
  table.comm_init_rank_config = ncclCommInitRankConfig;
  table.comm_get_async_error = ncclCommGetAsyncError;
  table.comm_finalize = ncclCommFinalize;
  table.comm_destroy = ncclCommDestroy;
  table.comm_abort = ncclCommAbort;
  table.error_string = ncclGetErrorString;
  table.last_error = ncclGetLastError;
  table.group_start = ncclGroupStart;
  table.group_end = ncclGroupEnd;
  table.send = ncclSend;
  table.receive = ncclRecv;
  table.all_reduce = ncclAllReduce;
  table.all_gather = ncclAllGather;
  table.stream_create = cudaStreamCreateWithFlags;
  table.stream_destroy = cudaStreamDestroy;
  table.stream_wait_event = cudaStreamWaitEvent;
  table.event_create = cudaEventCreateWithFlags;
  table.event_destroy = cudaEventDestroy;
  table.event_record = cudaEventRecord;
  table.event_query = cudaEventQuery;
  table.cuda_error_string = cudaGetErrorString;
  table.allocate = [](void** data, std::size_t bytes) { return cudaMalloc(data, bytes); };
  table.free = cudaFree;
  table.copy = cudaMemcpyAsync;
  table.fill = cudaMemsetAsync;
  table.add = [](float* sum, const float* other, std::size_t count, cudaStream_t stream) {
    return static_cast<cudaError_t>(device_add(sum, other, count, stream));
  };
  return table;
}

}  // namespace langrun
