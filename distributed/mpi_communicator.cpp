#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>

#include <chrono>
#include <cstdlib>
#include <numeric>

#include "core/error.h"
#include "distributed/communicator.h"

namespace langrun {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void check(int code, const char* name) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(ExitCode::rank,
              fmt::format("collective '{}' failed: {}", name, std::string(text, static_cast<std::size_t>(length))));
}

int as_count(std::size_t count, const char* name) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw Error(ExitCode::internal, fmt::format("collective '{}': {} elements do not fit one MPI call", name, count));
  return static_cast<int>(count);
}

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(MPI_Comm comm) : comm_(comm) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    MPI_Comm host = MPI_COMM_NULL;
    MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host);
    MPI_Comm_rank(host, &local_rank_);
    MPI_Comm_free(&host);
    // Failures come back as codes, so that they can be named; the default handler ends the program without a word.
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  const char* kind() const override { return "mpi"; }

  void barrier(const char* name) override {
    MPI_Request request;
    check(MPI_Ibarrier(comm_, &request), name);
    wait(name, request);
  }

  void broadcast(const char* name, std::span<std::byte> bytes, int root) override {
    MPI_Request request;
    check(MPI_Ibcast(bytes.data(), as_count(bytes.size(), name), MPI_BYTE, root, comm_, &request), name);
    wait(name, request);
    if (rank_ == root) sent_ += bytes.size() * static_cast<std::uint64_t>(size_ - 1);
  }

  std::vector<std::vector<std::byte>> gather_all(const char* name, std::span<const std::byte> bytes) override {
    std::vector<int> lengths(static_cast<std::size_t>(size_)), starts(lengths.size());
    const int own = as_count(bytes.size(), name);
    MPI_Request request;
    check(MPI_Iallgather(&own, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_, &request), name);
    wait(name, request);
    std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), 0);
    const auto total = static_cast<std::size_t>(starts.back()) + static_cast<std::size_t>(lengths.back());
    as_count(total, name);
    std::vector<std::byte> all(total);
    check(MPI_Iallgatherv(bytes.data(), own, MPI_BYTE, all.data(), lengths.data(), starts.data(), MPI_BYTE, comm_,
                          &request),
          name);
    wait(name, request);
    sent_ += bytes.size() * static_cast<std::uint64_t>(size_ - 1);
    std::vector<std::vector<std::byte>> parts;
    for (std::size_t r = 0; r < lengths.size(); ++r)
      parts.emplace_back(all.begin() + starts[r], all.begin() + starts[r] + lengths[r]);
    return parts;
  }

  void maximum(const char* name, std::span<std::int64_t> values) override {
    MPI_Request request;
    check(MPI_Iallreduce(MPI_IN_PLACE, values.data(), as_count(values.size(), name), MPI_INT64_T, MPI_MAX, comm_,
                         &request),
          name);
    wait(name, request);
    sent_ += values.size_bytes();
  }

  void exchange(const char* name, std::span<const float> send, std::span<float> receive, std::size_t count) override {
    MPI_Request request;
    const int n = as_count(count, name);
    check(MPI_Ialltoall(send.data(), n, MPI_FLOAT, receive.data(), n, MPI_FLOAT, comm_, &request), name);
    wait(name, request);
    sent_ += count * sizeof(float) * static_cast<std::uint64_t>(size_ - 1);
  }

  void gather_blocks(const char* name, std::span<const float> own, std::span<float> all) override {
    MPI_Request request;
    const int n = as_count(own.size(), name);
    check(MPI_Iallgather(own.data(), n, MPI_FLOAT, all.data(), n, MPI_FLOAT, comm_, &request), name);
    wait(name, request);
    sent_ += own.size_bytes() * static_cast<std::uint64_t>(size_ - 1);
  }

  std::uint64_t bytes_sent() const override { return sent_; }
  void set_limit(double seconds) override { limit_ = seconds; }

 private:
  // Polling instead of MPI_Wait: a dead or stuck rank must end in a named error, and MPI_Wait never returns then.
  // Yielding lets ranks that share a core make progress instead of burning each other's time slices.
  void wait(const char* name, MPI_Request& request) {
    ++sequence_;
    const auto start = Clock::now();
    for (std::uint64_t polls = 0;; ++polls) {
      int done = 0;
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), name);
      if (done) return;
      if (polls > 100) sched_yield();
      if (limit_ > 0 && polls % 256 == 255 && seconds_since(start) > limit_)
        throw Error(ExitCode::rank,
                    fmt::format("collective '{}' (number {}) has waited {:.0f} s on rank {} of {}", name, sequence_,
                                limit_, rank_, size_),
                    "another rank is stuck, slow or gone; raise --watchdog.limit if it is only slow");
    }
  }

  MPI_Comm comm_;
  int rank_ = 0, size_ = 1, local_rank_ = 0;
  std::uint64_t sent_ = 0, sequence_ = 0;
  double limit_ = 0;
};

}  // namespace

bool started_by_mpi_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

MpiSession::MpiSession() {
  int provided = 0;
  // The I/O threads never call MPI, so FUNNELED is enough.
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    throw Error(ExitCode::rank, "MPI does not start", "is the program run by the mpirun it was built with?");
  auto* failing = new MPI_Comm;
  MPI_Comm_dup(MPI_COMM_WORLD, failing);
  failing_ = failing;
  world_ = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD);
}

void MpiSession::finish() {
  auto* failing = static_cast<MPI_Comm*>(failing_);
  MPI_Comm_free(failing);
  delete failing;
  failing_ = nullptr;
  MPI_Finalize();
}

void MpiSession::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

bool MpiSession::all_failing(double seconds) {
  MPI_Request request;
  MPI_Ibarrier(*static_cast<MPI_Comm*>(failing_), &request);
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    int done = 0;
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (done) return true;
    sched_yield();
  }
  return false;
}

std::string mpi_library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string whole(text, static_cast<std::size_t>(length));
  return whole.substr(0, whole.find(','));
}

}  // namespace langrun
