#include "distributed/nccl_communicator.h"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>

#include "core/error.h"
#include "distributed/agreement.h"

namespace langrun {
namespace {

using Clock = std::chrono::steady_clock;

void check_cuda(cudaError_t code, const std::string& what) {
  if (code != cudaSuccess) throw Error(ExitCode::rank, fmt::format("{}: CUDA: {}", what, cudaGetErrorString(code)));
}

}  // namespace

struct NcclCommunicator::State {
  int rank = 0, size = 1;
  double limit = 0;
  std::uint64_t sequence = 0, sent = 0;
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;

  ~State() {
    // Abort is local. Destroying instead would wait for ranks that may be gone.
    if (comm != nullptr) ncclCommAbort(comm);
    if (event != nullptr) cudaEventDestroy(event);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }

  std::string place(const std::string& name) const {
    return fmt::format("NCCL collective '{}' (number {}) on rank {} of {}", name, sequence, rank, size);
  }

  // The communicator is given up before the error leaves: kernels of a broken collective spin on the GPU until then.
  [[noreturn]] void fail(const std::string& name, const std::string& why, const std::string& hint) {
    const auto text = fmt::format("{} {}", place(name), why);
    if (comm != nullptr) ncclCommAbort(comm);
    comm = nullptr;
    throw Error(ExitCode::rank, text, hint);
  }

  void fail_nccl(const std::string& name, ncclResult_t code) {
    const char* last = ncclGetLastError(comm);
    fail(name,
         fmt::format("failed: {}{}{}", ncclGetErrorString(code), last != nullptr && *last != '\0' ? ": " : "",
                     last == nullptr ? "" : last),
         "NCCL_DEBUG=INFO makes NCCL say more");
  }

  // Polls `done` beside NCCL's own error state and the clock.
  template <typename Done>
  void poll(const std::string& name, Done done) {
    const auto start = Clock::now();
    for (std::uint64_t polls = 0; !done(); ++polls) {
      ncclResult_t code = ncclSuccess;
      const auto asked = ncclCommGetAsyncError(comm, &code);
      if (asked != ncclSuccess) fail_nccl(name, asked);
      if (code != ncclSuccess && code != ncclInProgress) fail_nccl(name, code);
      if (limit > 0 && std::chrono::duration<double>(Clock::now() - start).count() > limit)
        fail(name, fmt::format("has waited {:.0f} s", limit),
             "another rank is stuck, slow or gone; raise --watchdog.limit if it is only slow");
      // Short collectives end within the first polls; long ones leave the core to others.
      if (polls > 1000) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  // A call on a non-blocking communicator may return before it is through with its host part.
  void accepted(const std::string& name, ncclResult_t code) {
    if (code != ncclSuccess && code != ncclInProgress) fail_nccl(name, code);
    poll(name, [&] {
      ncclResult_t state = ncclSuccess;
      return ncclCommGetAsyncError(comm, &state) == ncclSuccess && state == ncclSuccess;
    });
  }

  void completed(const std::string& name) {
    check_cuda(cudaEventRecord(event, stream), place(name));
    poll(name, [&] {
      const auto code = cudaEventQuery(event);
      if (code != cudaErrorNotReady) check_cuda(code, place(name));
      return code == cudaSuccess;
    });
  }

  void begin(const std::string& name) {
    ++sequence;
    if (comm == nullptr) throw Error(ExitCode::internal, place(name) + " was called after the end of its communicator");
  }
};

NcclCommunicator::NcclCommunicator(Communicator& world, double limit) : state_(std::make_unique<State>()) {
  auto& s = *state_;
  s.rank = world.rank();
  s.size = world.size();
  s.limit = limit;
  const std::string name = "start of NCCL";
  // What a rank can fail at alone is agreed on before NCCL brings the ranks together.
  const auto text = on_root(world, "NCCL unique id", [&] {
    ncclUniqueId made{};
    if (const auto code = ncclGetUniqueId(&made); code != ncclSuccess)
      throw Error(ExitCode::rank, fmt::format("NCCL does not start: {}", ncclGetErrorString(code)),
                  "NCCL_DEBUG=INFO makes NCCL say more");
    return std::string(made.internal, sizeof(made.internal));
  });
  ncclUniqueId id{};
  std::copy(text.begin(), text.end(), id.internal);
  agree(world, "streams of NCCL", [&] {
    check_cuda(cudaStreamCreateWithFlags(&s.stream, cudaStreamNonBlocking), name);
    check_cuda(cudaEventCreateWithFlags(&s.event, cudaEventDisableTiming), name);
  });
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  s.accepted(name, ncclCommInitRankConfig(&s.comm, s.size, id, s.rank, &config));
}

NcclCommunicator::~NcclCommunicator() = default;

int NcclCommunicator::rank() const { return state_->rank; }
int NcclCommunicator::size() const { return state_->size; }
CUstream_st* NcclCommunicator::stream() const { return state_->stream; }
std::uint64_t NcclCommunicator::bytes_sent() const { return state_->sent; }

void NcclCommunicator::after(CUstream_st* producer) {
  check_cuda(cudaEventRecord(state_->event, producer), "waiting for a stream");
  check_cuda(cudaStreamWaitEvent(state_->stream, state_->event, 0), "waiting for a stream");
}

void NcclCommunicator::all_reduce(const std::string& name, float* values, std::size_t count) {
  auto& s = *state_;
  s.begin(name);
  s.accepted(name, ncclAllReduce(values, values, count, ncclFloat, ncclSum, s.comm, s.stream));
  s.completed(name);
  s.sent += 2 * count * sizeof(float) * static_cast<std::uint64_t>(s.size - 1) / static_cast<std::uint64_t>(s.size);
}

void NcclCommunicator::exchange(const std::string& name, const float* send, float* receive, std::size_t count) {
  auto& s = *state_;
  s.begin(name);
  ncclResult_t code = ncclGroupStart();
  for (int peer = 0; peer < s.size && (code == ncclSuccess || code == ncclInProgress); ++peer) {
    const auto block = static_cast<std::size_t>(peer) * count;
    code = ncclSend(send + block, count, ncclFloat, peer, s.comm, s.stream);
    if (code == ncclSuccess || code == ncclInProgress)
      code = ncclRecv(receive + block, count, ncclFloat, peer, s.comm, s.stream);
  }
  // The group is closed in any case: an open one would swallow every later call of this thread.
  const auto closed = ncclGroupEnd();
  s.accepted(name, code == ncclSuccess || code == ncclInProgress ? closed : code);
  s.completed(name);
  s.sent += count * sizeof(float) * static_cast<std::uint64_t>(s.size - 1);
}

void NcclCommunicator::gather_blocks(const std::string& name, const float* own, float* all, std::size_t count) {
  auto& s = *state_;
  s.begin(name);
  s.accepted(name, ncclAllGather(own, all, count, ncclFloat, s.comm, s.stream));
  s.completed(name);
  s.sent += count * sizeof(float) * static_cast<std::uint64_t>(s.size - 1);
}

void NcclCommunicator::settle(const std::string& name) { state_->completed(name); }

void NcclCommunicator::finish() {
  auto& s = *state_;
  const std::string name = "end of NCCL";
  s.begin(name);
  s.accepted(name, ncclCommFinalize(s.comm));
  const auto code = ncclCommDestroy(s.comm);
  s.comm = nullptr;
  if (code != ncclSuccess)
    throw Error(ExitCode::rank, fmt::format("{} failed: {}", s.place(name), ncclGetErrorString(code)));
}

}  // namespace langrun
