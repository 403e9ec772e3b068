#include "tests/standin/nccl_host.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "tests/standin/host_devices.h"
#include "tests/standin/nccl_clique.h"

namespace langrun {
namespace {

using What = NcclFault::What;
using Kind = NcclOperation::Kind;

// How often the error state says that a call is in progress before it is through.
constexpr int kPolls = 2;

/// All ranks that share a unique id.
struct Clique {
  std::unique_ptr<NcclClique> kernels;  // from the first rank that joins
  int joined = 0, finalized = 0;
};

struct Comm {
  enum class Doing { start, call, end };
  Clique* clique = nullptr;
  int rank = 0;
  HostDevices::Device device;
  ncclResult_t state = ncclInProgress;
  Doing doing = Doing::start;
  int polls = kPolls;
  std::uint64_t calls = 0;
  std::shared_ptr<NcclKernel> next;  // accepted and not launched
  std::shared_ptr<HostStream> stream;
  int kernels = 0;  // launched and not ended
  bool aborted = false, finalized = false;
  std::string error;
};

/// What one thread has put into its group.
struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<std::pair<ncclComm_t, NcclOperation>> operations;
  std::vector<std::shared_ptr<HostStream>> streams;  // of each operation
};

}  // namespace

struct NcclHost::State {
  using Lock = std::unique_lock<std::mutex>;

  State(std::vector<NcclFault> wrong, std::size_t memory) : faults(std::move(wrong)), devices(memory) {}

  const NcclFault* fault(What what, const Comm& comm) const {
    const bool any = what == What::start_fails || what == What::start_endless || what == What::abort_endless;
    const auto found = std::ranges::find_if(faults, [&](const NcclFault& f) {
      return f.what == what && f.rank == comm.rank && (any || f.at == comm.calls);
    });
    return found == faults.end() ? nullptr : &*found;
  }

  std::shared_ptr<Comm> find(ncclComm_t handle) const {
    const auto found = comms.find(handle);
    return found == comms.end() ? nullptr : found->second;
  }

  bool in_group() const {
    const auto found = groups.find(std::this_thread::get_id());
    return found != groups.end() && found->second.depth > 0;
  }

  // A call on a communicator whose last one is in progress is a mistake, and one that has an error keeps it.
  static ncclResult_t usable(const Comm& comm) {
    return comm.state == ncclInProgress ? ncclInvalidArgument : comm.finalized ? ncclInvalidUsage : comm.state;
  }

  ncclResult_t unique_id(ncclUniqueId* id) {
    const Lock lock(mutex);
    *id = {};
    const auto number = cliques.size();
    std::memcpy(id->internal, &number, sizeof(number));
    cliques.push_back(std::make_unique<Clique>());
    return ncclSuccess;
  }

  ncclResult_t start(ncclComm_t* handle, int ranks, const ncclUniqueId& id, int rank, const ncclConfig_t* config) {
    const Lock lock(mutex);
    *handle = nullptr;
    std::size_t number = 0;
    std::memcpy(&number, id.internal, sizeof(number));
    if (ranks < 1 || rank < 0 || rank >= ranks || number >= cliques.size() || config == nullptr)
      return ncclInvalidArgument;
    if (config->blocking != 0 || in_group()) return ncclInvalidUsage;
    for (const auto& f : faults)
      if (f.what == What::start_refused && f.rank == rank) return f.code;
    auto* clique = cliques[number].get();
    if (!clique->kernels) clique->kernels = std::make_unique<NcclClique>(ranks);
    if (clique->kernels->size() != ranks) return ncclInvalidArgument;
    auto comm = std::make_shared<Comm>();
    comm->clique = clique;
    comm->rank = rank;
    comm->device = std::this_thread::get_id();
    ++clique->joined;
    *handle = reinterpret_cast<ncclComm_t>(comm.get());
    comms[*handle] = std::move(comm);
    return ncclInProgress;
  }

  ncclResult_t ask(ncclComm_t handle, ncclResult_t* state) {
    const Lock lock(mutex);
    const auto comm = find(handle);
    if (comm == nullptr) return ncclInvalidArgument;
    if (comm->state == ncclInProgress) advance(comm);
    *state = comm->state;
    return ncclSuccess;
  }

  // The first error stays.
  static void fail(Comm& comm, ncclResult_t code, const std::string& why) {
    if (comm.state != ncclSuccess && comm.state != ncclInProgress) return;
    comm.state = code;
    comm.error = why;
    comm.next = nullptr;
  }

  // One more question about the state of what is in progress.
  void advance(const std::shared_ptr<Comm>& comm) {
    const bool together = comm->doing == Comm::Doing::start ? comm->clique->joined == comm->clique->kernels->size()
                          : comm->doing == Comm::Doing::end
                              ? comm->kernels == 0 && comm->clique->finalized == comm->clique->kernels->size()
                              : fault(What::host_endless, *comm) == nullptr;
    if (!together || (comm->doing == Comm::Doing::start && fault(What::start_endless, *comm) != nullptr)) return;
    if (comm->polls-- > 0) return;
    if (comm->doing == Comm::Doing::start)
      if (const auto* wrong = fault(What::start_fails, *comm)) return fail(*comm, wrong->code, "start fails");
    comm->state = ncclSuccess;
    comm->finalized = comm->doing == Comm::Doing::end;
    if (comm->doing == Comm::Doing::call) launch(comm);
  }

  void launch(const std::shared_ptr<Comm>& comm) {
    ++comm->kernels;
    const auto* fails = fault(What::kernel_fails, *comm);
    const auto* late = fault(What::late_error, *comm);
    const auto* slow = fault(What::slow, *comm);
    // The streams end before this does, in ~NcclHost.
    comm->stream->enqueue([this, comm, kernel = std::exchange(comm->next, nullptr), fails, late, slow] {
      run(*comm, *kernel, fails, late, slow == nullptr ? 0 : slow->seconds);
    });
  }

  // On the stream's thread.
  void run(Comm& comm, NcclKernel& kernel, const NcclFault* fails, const NcclFault* late, double seconds) {
    Lock lock(mutex);
    const auto over = [&] { return kernel.done || comm.aborted || closing; };
    if (seconds > 0) changed.wait_for(lock, std::chrono::duration<double>(seconds), over);
    if (fails != nullptr) {
      fail(comm, fails->code, "kernel fails");
    } else if (!over()) {
      const auto wrong = comm.clique->kernels->run(comm.rank, kernel);
      if (!wrong.empty())
        for (auto& [handle, other] : comms)
          if (other->clique == comm.clique) fail(*other, ncclInvalidUsage, wrong);
      changed.notify_all();
    }
    changed.wait(lock, over);
    if (!kernel.done) comm.clique->kernels->withdraw(comm.rank);
    if (kernel.done && late != nullptr) fail(comm, late->code, "late error");
    --comm.kernels;
    changed.notify_all();
  }

  ncclResult_t call(ncclComm_t handle, const NcclOperation& operation, cudaStream_t stream) {
    const Lock lock(mutex);
    auto queue = std::shared_ptr<HostStream>();
    const auto code = check(handle, operation, stream, queue);
    if (in_group()) {
      auto& group = groups[std::this_thread::get_id()];
      if (code != ncclSuccess) group.error = code;
      group.operations.emplace_back(handle, operation);
      group.streams.push_back(std::move(queue));
      return code;
    }
    return code != ncclSuccess ? code : accept(handle, {operation}, queue);
  }

  ncclResult_t check(ncclComm_t handle, const NcclOperation& o, cudaStream_t stream,
                     std::shared_ptr<HostStream>& queue) const {
    const auto comm = find(handle);
    if (comm == nullptr) return ncclInvalidArgument;
    if (const auto code = usable(*comm); code != ncclSuccess) return code;
    const auto ranks = static_cast<std::size_t>(comm->clique->kernels->size());
    const auto bytes = o.count * bytes_of(o.type);
    const bool message = o.kind == Kind::send || o.kind == Kind::receive;
    queue = devices.find(stream, comm->device);
    if (queue == nullptr || bytes_of(o.type) == 0) return ncclInvalidArgument;
    if (comm->stream != nullptr && queue != comm->stream) return ncclInvalidUsage;  // one stream is all we use
    if (message && (o.peer < 0 || static_cast<std::size_t>(o.peer) >= ranks)) return ncclInvalidArgument;
    if (o.kind == Kind::all_reduce && (o.type != ncclFloat || o.sum != ncclSum)) return ncclInvalidArgument;
    if (o.kind != Kind::receive && !devices.holds(o.input, bytes, comm->device)) return ncclInvalidArgument;
    const auto written = o.kind == Kind::all_gather ? bytes * ranks : bytes;
    if (o.kind != Kind::send && !devices.holds(o.output, written, comm->device)) return ncclInvalidArgument;
    return ncclSuccess;
  }

  ncclResult_t accept(ncclComm_t handle, std::vector<NcclOperation> operations, std::shared_ptr<HostStream> queue) {
    const auto comm = find(handle);
    if (comm == nullptr) return ncclInvalidArgument;
    if (const auto code = usable(*comm); code != ncclSuccess) return code;
    ++comm->calls;
    comm->state = ncclInProgress;
    comm->doing = Comm::Doing::call;
    comm->polls = kPolls;
    comm->next = std::make_shared<NcclKernel>();
    comm->next->operations = std::move(operations);
    comm->stream = std::move(queue);
    return ncclInProgress;
  }

  ncclResult_t group_start() {
    const Lock lock(mutex);
    ++groups[std::this_thread::get_id()].depth;
    return ncclSuccess;
  }

  ncclResult_t group_end() {
    const Lock lock(mutex);
    const auto found = groups.find(std::this_thread::get_id());
    if (found == groups.end()) return ncclInvalidUsage;
    if (--found->second.depth > 0) return ncclSuccess;
    const auto group = std::move(found->second);
    groups.erase(found);
    if (group.error != ncclSuccess || group.operations.empty()) return group.error;
    std::vector<NcclOperation> operations;
    for (std::size_t i = 0; i < group.operations.size(); ++i) {
      const auto& [handle, operation] = group.operations[i];
      if (handle != group.operations[0].first || group.streams[i] != group.streams[0]) return ncclInvalidUsage;
      operations.push_back(operation);
    }
    return accept(group.operations[0].first, std::move(operations), group.streams[0]);
  }

  ncclResult_t finalize(ncclComm_t handle) {
    const Lock lock(mutex);
    const auto comm = find(handle);
    if (comm == nullptr) return ncclInvalidArgument;
    if (in_group()) return ncclInvalidUsage;
    if (const auto code = usable(*comm); code != ncclSuccess) return code;
    ++comm->clique->finalized;
    comm->state = ncclInProgress;
    comm->doing = Comm::Doing::end;
    comm->polls = kPolls;
    return ncclInProgress;
  }

  ncclResult_t destroy(ncclComm_t handle) {
    const Lock lock(mutex);
    const auto comm = find(handle);
    if (comm == nullptr || comm->state == ncclInProgress) return ncclInvalidArgument;
    if (!comm->finalized) return ncclInvalidUsage;
    comms.erase(handle);
    return ncclSuccess;
  }

  ncclResult_t abort(ncclComm_t handle) {
    Lock lock(mutex);
    if (handle == nullptr) return ncclSuccess;
    const auto comm = find(handle);
    if (comm == nullptr) return ncclInvalidArgument;
    if (in_group()) return ncclInvalidUsage;  // it would become part of the group, and wait for its end
    if (fault(What::abort_endless, *comm) != nullptr) changed.wait(lock, [&] { return closing; });
    comm->aborted = true;
    comm->clique->kernels->withdraw(comm->rank);
    comms.erase(handle);
    changed.notify_all();
    changed.wait(lock, [&] { return comm->kernels == 0 || closing; });
    return ncclSuccess;
  }

  const char* last_error(ncclComm_t handle) const {
    const Lock lock(mutex);
    const auto comm = find(handle);
    return comm == nullptr ? "" : comm->error.c_str();
  }

  void close() {
    {
      const Lock lock(mutex);
      closing = true;
      changed.notify_all();
    }
    devices.close();
  }

  const std::vector<NcclFault> faults;
  HostDevices devices;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::unique_ptr<Clique>> cliques;
  std::map<ncclComm_t, std::shared_ptr<Comm>> comms;
  std::map<std::thread::id, Group> groups;
  bool closing = false;
};

NcclHost::NcclHost(std::vector<NcclFault> faults, std::size_t memory)
    : state_(std::make_shared<State>(std::move(faults), memory)) {}

NcclHost::~NcclHost() { state_->close(); }

NcclFunctions NcclHost::functions() const {
  NcclFunctions f;
  const auto s = state_;
  f.get_unique_id = [s](auto* id) { return s->unique_id(id); };
  f.comm_init_rank_config = [s](auto* comm, int ranks, auto id, int rank, auto* config) {
    return s->start(comm, ranks, id, rank, config);
  };
  f.comm_get_async_error = [s](auto comm, auto* state) { return s->ask(comm, state); };
  f.comm_finalize = [s](auto comm) { return s->finalize(comm); };
  f.comm_destroy = [s](auto comm) { return s->destroy(comm); };
  f.comm_abort = [s](auto comm) { return s->abort(comm); };
  f.error_string = ncclGetErrorString;
  f.last_error = [s](auto comm) { return s->last_error(comm); };
  f.group_start = [s] { return s->group_start(); };
  f.group_end = [s] { return s->group_end(); };
  f.send = [s](const void* data, std::size_t count, auto type, int peer, auto comm, auto stream) {
    return s->call(comm, {Kind::send, data, nullptr, count, type, ncclSum, peer}, stream);
  };
  f.receive = [s](void* data, std::size_t count, auto type, int peer, auto comm, auto stream) {
    return s->call(comm, {Kind::receive, nullptr, data, count, type, ncclSum, peer}, stream);
  };
  f.all_reduce = [s](const void* in, void* out, std::size_t count, auto type, auto sum, auto comm, auto stream) {
    return s->call(comm, {Kind::all_reduce, in, out, count, type, sum}, stream);
  };
  f.all_gather = [s](const void* in, void* out, std::size_t count, auto type, auto comm, auto stream) {
    return s->call(comm, {Kind::all_gather, in, out, count, type}, stream);
  };
  f.stream_create = [s](auto* stream, unsigned) { return s->devices.stream_create(stream); };
  f.stream_destroy = [s](auto stream) { return s->devices.stream_destroy(stream); };
  f.stream_wait_event = [s](auto stream, auto event, unsigned) { return s->devices.stream_wait_event(stream, event); };
  f.event_create = [s](auto* event, unsigned) { return s->devices.event_create(event); };
  f.event_destroy = [s](auto event) { return s->devices.event_destroy(event); };
  f.event_record = [s](auto event, auto stream) { return s->devices.event_record(event, stream); };
  f.event_query = [s](auto event) { return s->devices.event_query(event); };
  f.cuda_error_string = cudaGetErrorString;
  f.allocate = [s](void** data, std::size_t bytes) { return s->devices.allocate(data, bytes); };
  f.free = [s](void* data) { return s->devices.free(data); };
  f.copy = [s](void* to, const void* from, std::size_t bytes, auto kind, auto stream) {
    return s->devices.copy(to, from, bytes, kind, stream);
  };
  f.fill = [s](void* data, int value, std::size_t bytes, auto stream) {
    return s->devices.fill(data, value, bytes, stream);
  };
  f.add = [s](float* sum, const float* other, std::size_t count, auto stream) {
    return s->devices.add(sum, other, count, stream);
  };
  return f;
}

std::string NcclHost::leftovers() const {
  const auto counts = state_->devices.counts();
  const State::Lock lock(state_->mutex);
  std::vector<std::string> texts;
  const auto say = [&](std::size_t count, const std::string& what) {
    if (count > 0) texts.push_back(fmt::format("{} {}", count, what));
  };
  say(state_->comms.size(), "communicators");
  say(counts.streams, "streams");
  say(counts.events, "events");
  say(counts.blocks, "blocks of memory");
  say(state_->groups.size(), "open groups");
  say(counts.endless_frees, "frees that would wait for ever");
  return fmt::format("{}", fmt::join(texts, ", "));
}

}  // namespace langrun
