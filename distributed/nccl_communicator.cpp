#include "distributed/nccl_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <system_error>
#include <thread>
#include <utility>

#include "core/error.h"
#include "distributed/agreement.h"
#include "distributed/nccl_functions.h"
#include "distributed/waiting.h"

namespace langrun {
namespace {

// A rank that gives up must still say why, so it does not wait longer than this for NCCL to clear up.
constexpr auto kAbortLimit = std::chrono::seconds(1);

bool refused(ncclResult_t code) { return code != ncclSuccess && code != ncclInProgress; }

}  // namespace

struct NcclCommunicator::State {
  State(Communicator& ranks, double seconds, const NcclFunctions& table)
      : world(ranks), functions(table), rank(ranks.rank()), size(ranks.size()), limit(seconds) {}

  Communicator& world;
  NcclFunctions functions;
  int rank, size;
  double limit;
  std::uint64_t sequence = 0, sent = 0;
  std::uint64_t number = 0;  // of the collective under way, among all of the ranks; 0: none
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  std::string failure;  // why the communicator was given up
  bool stuck = false;

  ~State() {
    // Abort is local. Destroying instead would wait for ranks that may be gone.
    give_up();
    if (event != nullptr) functions.event_destroy(event);
    if (stream != nullptr) functions.stream_destroy(stream);
  }

  // NCCL's abort waits for kernels, and in some versions for other ranks of the same host, which may be gone: it gets a
  // thread of its own, so that an error leaves this rank in any case.
  void give_up() {
    if (comm == nullptr) return;
    std::packaged_task<void()> abort(
        [call = functions.comm_abort, broken = std::exchange(comm, nullptr)] { call(broken); });
    auto through = abort.get_future();
    try {
      std::thread(std::move(abort)).detach();
    } catch (const std::system_error&) {
      stuck = true;  // no thread to be had, so the communicator is left as it is
      return;
    }
    stuck = through.wait_for(kAbortLimit) != std::future_status::ready;
  }

  std::string place(const std::string& name) const {
    return fmt::format("NCCL collective '{}' (number {}) on rank {} of {}", name, sequence, rank, size);
  }

  // The communicator is given up before the error leaves: kernels of a broken collective spin on the GPU until then.
  [[noreturn]] void fail(const std::string& name, const std::string& why, const std::string& hint = {}) {
    failure = fmt::format("{} {}", place(name), why);
    world.end_elsewhere(std::exchange(number, 0), false);
    give_up();
    throw Error(ExitCode::rank, failure, hint);
  }

  void fail_nccl(const std::string& name, ncclResult_t code) {
    const char* last = functions.last_error(comm);
    fail(name,
         fmt::format("failed: {}{}{}", functions.error_string(code), last != nullptr && *last != '\0' ? ": " : "",
                     last == nullptr ? "" : last),
         "NCCL_DEBUG=INFO makes NCCL say more");
  }

  void fail_cuda(const std::string& name, cudaError_t code) {
    fail(name, fmt::format("failed: CUDA: {}", functions.cuda_error_string(code)));
  }

  // True where NCCL is through with the host's part of what was called. An error it knows of ends the communicator.
  bool ready(const std::string& name) {
    ncclResult_t state = ncclSuccess;
    if (const auto asked = functions.comm_get_async_error(comm, &state); asked != ncclSuccess) fail_nccl(name, asked);
    if (refused(state)) fail_nccl(name, state);
    return state == ncclSuccess;
  }

  // Polls `done` beside the clock.
  template <typename Done>
  void poll(const std::string& name, Done done) {
    Waiting waiting;
    for (std::uint64_t polls = 0; !done(); ++polls) {
      const auto waited = waiting.seconds();
      // Ranks that can be asked are asked who is missing; that ends the program.
      if (number != 0 && (polls % 256 == 255 || (limit > 0 && waited > limit)))
        world.wait_elsewhere(name.c_str(), number, waited);
      if (limit > 0 && waited > limit)
        fail(name, fmt::format("has waited {:g} s", limit),
             "another rank is stuck, slow or gone; raise --watchdog.limit if it is only slow");
      // Short collectives end within the first polls; long ones leave the core to others.
      if (polls > 1000) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  // A call on a non-blocking communicator may return before it is through with its host part. Only then are its kernels
  // on the stream, where an event can follow them.
  void accepted(const std::string& name, ncclResult_t code) {
    if (refused(code)) fail_nccl(name, code);
    poll(name, [&] { return ready(name); });
  }

  void completed(const std::string& name) {
    if (const auto code = functions.event_record(event, stream); code != cudaSuccess) fail_cuda(name, code);
    poll(name, [&] {
      const auto code = functions.event_query(event);
      if (code != cudaSuccess && code != cudaErrorNotReady) fail_cuda(name, code);
      // Asked after the event, not before: what a collective left that NCCL knows to have failed is no result.
      ready(name);
      return code == cudaSuccess;
    });
  }

  void require(const std::string& name) const {
    if (comm != nullptr) return;
    if (failure.empty()) throw Error(ExitCode::internal, place(name) + " was called after the end of its communicator");
    throw Error(ExitCode::rank, fmt::format("{} cannot begin, since NCCL was given up: {}", place(name), failure));
  }

  void begin(const std::string& name, std::uint64_t bytes) {
    ++sequence;
    require(name);
    number = world.begin_elsewhere(("NCCL: " + name).c_str(), bytes);
  }

  void through() { world.end_elsewhere(std::exchange(number, 0), true); }
};

NcclCommunicator::NcclCommunicator(Communicator& world, double limit, const NcclFunctions& functions)
    : state_(std::make_unique<State>(world, limit, functions)) {
  auto& s = *state_;
  const std::string name = "start of NCCL";
  // What a rank can fail at alone is agreed on before NCCL brings the ranks together.
  const auto text = on_root(world, "NCCL unique id", [&] {
    ncclUniqueId made{};
    if (const auto code = functions.get_unique_id(&made); code != ncclSuccess)
      throw Error(ExitCode::rank, fmt::format("NCCL does not start: {}", functions.error_string(code)),
                  "NCCL_DEBUG=INFO makes NCCL say more");
    return std::string(made.internal, sizeof(made.internal));
  });
  ncclUniqueId id{};
  std::copy(text.begin(), text.end(), id.internal);
  agree(world, "streams of NCCL", [&] {
    auto code = functions.stream_create(&s.stream, cudaStreamNonBlocking);
    if (code == cudaSuccess) code = functions.event_create(&s.event, cudaEventDisableTiming);
    if (code != cudaSuccess)
      throw Error(ExitCode::rank,
                  fmt::format("NCCL does not start: no stream: CUDA: {}", functions.cuda_error_string(code)));
  });
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ++s.sequence;
  s.number = world.begin_elsewhere(name.c_str(), 0);
  s.accepted(name, functions.comm_init_rank_config(&s.comm, s.size, id, s.rank, &config));
  s.through();
}

NcclCommunicator::~NcclCommunicator() = default;

int NcclCommunicator::rank() const { return state_->rank; }
int NcclCommunicator::size() const { return state_->size; }
const NcclFunctions& NcclCommunicator::functions() const { return state_->functions; }
CUstream_st* NcclCommunicator::stream() const { return state_->stream; }
std::uint64_t NcclCommunicator::bytes_sent() const { return state_->sent; }
bool NcclCommunicator::stuck() const { return state_->stuck; }

void NcclCommunicator::after(CUstream_st* producer) {
  const auto& f = state_->functions;
  auto code = f.event_record(state_->event, producer);
  if (code == cudaSuccess) code = f.stream_wait_event(state_->stream, state_->event, 0);
  if (code != cudaSuccess)
    throw Error(ExitCode::rank, fmt::format("NCCL cannot wait for a stream: CUDA: {}", f.cuda_error_string(code)));
}

void NcclCommunicator::all_reduce(const std::string& name, float* values, std::size_t count) {
  auto& s = *state_;
  s.begin(name, count * sizeof(float));
  s.accepted(name, s.functions.all_reduce(values, values, count, ncclFloat, ncclSum, s.comm, s.stream));
  s.completed(name);
  s.through();
  s.sent += 2 * count * sizeof(float) * static_cast<std::uint64_t>(s.size - 1) / static_cast<std::uint64_t>(s.size);
}

void NcclCommunicator::exchange(const std::string& name, const float* send, float* receive, std::size_t count) {
  auto& s = *state_;
  s.begin(name, count * sizeof(float) * static_cast<std::uint64_t>(s.size));
  if (const auto code = s.functions.group_start(); refused(code)) s.fail_nccl(name, code);
  auto code = ncclSuccess;
  for (int peer = 0; peer < s.size && !refused(code); ++peer) {
    const auto block = static_cast<std::size_t>(peer) * count;
    code = s.functions.send(send + block, count, ncclFloat, peer, s.comm, s.stream);
    if (!refused(code)) code = s.functions.receive(receive + block, count, ncclFloat, peer, s.comm, s.stream);
  }
  // The group is closed in any case: an open one would swallow every later call of this thread.
  const auto closed = s.functions.group_end();
  s.accepted(name, refused(code) ? code : closed);
  s.completed(name);
  s.through();
  s.sent += count * sizeof(float) * static_cast<std::uint64_t>(s.size - 1);
}

void NcclCommunicator::gather_blocks(const std::string& name, const float* own, float* all, std::size_t count) {
  auto& s = *state_;
  s.begin(name, count * sizeof(float));
  s.accepted(name, s.functions.all_gather(own, all, count, ncclFloat, s.comm, s.stream));
  s.completed(name);
  s.through();
  s.sent += count * sizeof(float) * static_cast<std::uint64_t>(s.size - 1);
}

void NcclCommunicator::settle(const std::string& name) {
  state_->require(name);
  state_->completed(name);
}

void NcclCommunicator::finish() {
  auto& s = *state_;
  const std::string name = "end of NCCL";
  s.begin(name, 0);
  s.accepted(name, s.functions.comm_finalize(s.comm));
  const auto code = s.functions.comm_destroy(std::exchange(s.comm, nullptr));
  s.world.end_elsewhere(std::exchange(s.number, 0), !refused(code));
  if (!refused(code)) return;
  s.failure = fmt::format("{} failed: {}", s.place(name), s.functions.error_string(code));
  throw Error(ExitCode::rank, s.failure);
}

}  // namespace langrun
