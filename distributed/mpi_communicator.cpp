#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "distributed/agreement.h"
#include "distributed/communicator.h"
#include "distributed/flight_recorder.h"
#include "distributed/heartbeat.h"
#include "distributed/mpi_sum.h"
#include "distributed/roll_call.h"
#include "distributed/time_limit.h"
#include "distributed/waiting.h"

namespace langrun {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What `read` gives, or nothing where a disk keeps it longer than a second. The thread is left to itself then: whoever
// asks here is about to end the program.
std::string within_a_second(std::function<std::string()> read) {
  std::packaged_task<std::string()> task(std::move(read));
  auto found = task.get_future();
  try {
    std::thread(std::move(task)).detach();
  } catch (const std::system_error&) {
    return {};  // no thread to be had
  }
  if (found.wait_for(std::chrono::seconds(1)) != std::future_status::ready) return {};
  return found.get();
}

int as_count(std::size_t count, const char* name) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw Error(ExitCode::internal, fmt::format("collective '{}': {} elements do not fit one MPI call", name, count));
  return static_cast<int>(count);
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, MpiSession::Say say) : comm_(comm), say_(std::move(say)), roll_(comm) {
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    MPI_Comm host = MPI_COMM_NULL;
    MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host);
    MPI_Comm_rank(host, &local_rank_);
    MPI_Comm_free(&host);
    // Failures come back as codes, so that they can be named; the default handler ends the program without a word.
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    // Sums in flight have messages of their own, which must not meet those of other collectives.
    MPI_Comm_dup(comm_, &sums_comm_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }

  void barrier(const char* name) override {
    MPI_Request request;
    check_mpi(MPI_Ibarrier(comm_, &request), name);
    wait(name, request, 0);
  }

  void broadcast(const char* name, std::span<std::byte> bytes, int root) override {
    MPI_Request request;
    check_mpi(MPI_Ibcast(bytes.data(), as_count(bytes.size(), name), MPI_BYTE, root, comm_, &request), name);
    wait(name, request, bytes.size());
  }

  std::vector<std::vector<std::byte>> gather_all(const char* name, std::span<const std::byte> bytes) override {
    std::vector<int> lengths(static_cast<std::size_t>(size_)), starts(lengths.size());
    const int own = as_count(bytes.size(), name);
    MPI_Request request;
    check_mpi(MPI_Iallgather(&own, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_, &request), name);
    wait(name, request, sizeof own);
    const auto total = std::accumulate(lengths.begin(), lengths.end(), std::size_t{0});
    as_count(total, name);
    std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), 0);
    std::vector<std::byte> all(total);
    check_mpi(MPI_Iallgatherv(bytes.data(), own, MPI_BYTE, all.data(), lengths.data(), starts.data(), MPI_BYTE, comm_,
                              &request),
              name);
    wait(name, request, bytes.size());
    std::vector<std::vector<std::byte>> parts;
    for (std::size_t r = 0; r < lengths.size(); ++r)
      parts.emplace_back(all.begin() + starts[r], all.begin() + starts[r] + lengths[r]);
    return parts;
  }

  void maximum(const char* name, std::span<std::int64_t> values) override {
    MPI_Request request;
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values.data(), as_count(values.size(), name), MPI_INT64_T, MPI_MAX, comm_,
                             &request),
              name);
    wait(name, request, values.size_bytes());
  }

  void gather_blocks(const char* name, std::span<const float> own, std::span<float> all) override {
    MPI_Request request;
    const int n = as_count(own.size(), name);
    check_mpi(MPI_Iallgather(own.data(), n, MPI_FLOAT, all.data(), n, MPI_FLOAT, comm_, &request), name);
    wait(name, request, own.size_bytes());
  }

  bool in_flight() const { return !flying_.empty(); }
  double limit() const { return limit_; }
  /// Another rank has given a collective up, and asks who is there.
  bool called() const { return roll_.called(); }

  Ticket begin_sum(const char* name, std::span<float> values) override {
    as_count(values.size(), name);
    if (idle_.empty()) idle_.push_back(std::make_unique<MpiSum>(sums_comm_));
    auto sum = std::move(idle_.back());
    idle_.pop_back();
    // The place in the order of collectives is taken here, where ranks agree, and not when a message moves.
    recorder_.begin(++sequence_, name, values.size_bytes());
    traffic_.bytes_sent += sum->begin(name, sequence_, values);
    ++traffic_.sums;
    flying_.push_back(std::move(sum));
    return sequence_;
  }

  void progress() override {
    for (std::size_t i = 0; i < flying_.size();) {
      if (!flying_[i]->progress()) {
        ++i;
        continue;
      }
      recorder_.end(flying_[i]->number());
      idle_.push_back(std::move(flying_[i]));
      flying_.erase(flying_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void finish_sum(Ticket ticket) override {
    const auto found =
        std::find_if(flying_.begin(), flying_.end(), [&](const auto& s) { return s->number() == ticket; });
    if (found == flying_.end()) return;
    const auto name = (*found)->name();
    wait(name.c_str(), ticket, [&] {
      progress();
      return std::none_of(flying_.begin(), flying_.end(), [&](const auto& s) { return s->number() == ticket; });
    });
  }

  void sum_in_library_order(const char* name, std::span<float> values) override {
    recorder_.begin(++sequence_, name, values.size_bytes());
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), as_count(values.size(), name), MPI_FLOAT, MPI_SUM, comm_),
              name);
    recorder_.end(sequence_);
  }

  Traffic traffic() const override { return traffic_; }

  std::uint64_t begin_elsewhere(const char* name, std::uint64_t bytes) override {
    recorder_.begin(++sequence_, name, bytes);
    recorder_.wait_for(sequence_);
    return sequence_;
  }
  void wait_elsewhere(const char* name, std::uint64_t number, double waited) override {
    if (too_long(waited)) give_up(name, number, waited);
  }
  void end_elsewhere(std::uint64_t number, bool through) override {
    if (through) {
      recorder_.end(number);
    } else {
      recorder_.wait_for(0);
    }
  }

  void set_limit(double seconds) override { limit_ = seconds; }

  void enter(std::string_view phase) override { recorder_.enter(phase); }

  void watch(const std::filesystem::path& folder) override {
    if (size_ == 1) return;
    // A beat of all ranks is one small write each: the more there are, the rarer, for the file server's sake.
    const auto seconds = std::max(kBeatSeconds, static_cast<double>(size_) / kBeatsPerSecond);
    heartbeat_.emplace(
        recorder_, Heartbeat::Config{folder, rank_, size_, host_name(), seconds}, [this] { return limit_.load(); },
        [this](std::uint64_t number) { stuck(number); });
  }

  void unwatch() override {
    if (!heartbeat_) return;
    heartbeat_->remove();
    heartbeat_.reset();
  }

 private:
  void wait(const char* name, MPI_Request& request, std::size_t bytes) {
    recorder_.begin(++sequence_, name, bytes);
    wait(name, sequence_, [&] {
      int done = 0;
      check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), name);
      return done != 0;
    });
  }

  // Polling instead of MPI_Wait: a dead or stuck rank must end in a named error, and MPI_Wait never returns then.
  // Yielding lets ranks that share a core make progress instead of burning each other's time slices.
  template <typename Done>
  void wait(const char* name, std::uint64_t number, Done done) {
    recorder_.wait_for(number);
    Waiting waiting;
    for (std::uint64_t polls = 0; !done(); ++polls) {
      if (polls > 100) waiting.give_way();
      if (polls % 256 != 255) continue;
      const auto waited = waiting.seconds();
      if (too_long(waited)) give_up(name, number, waited);
    }
    recorder_.end(number);
  }

  // Who came later waits too, and must not be taken for missing because its own limit has not passed yet.
  bool too_long(double waited) { return limit_ > 0 && (waited > limit_ || (waited > 1 && roll_.called())); }

  // With the last places that the run folder knows, where it can be read.
  std::string named(const std::vector<std::size_t>& missing) const {
    if (missing.empty()) return "none, the network is slow";
    const auto list = [this, missing](const std::function<std::string(std::size_t)>& place) {  // may outlive this call
      std::string text;
      for (const auto rank : missing) {
        const auto known = place(rank);
        text +=
            fmt::format("{}{}{}", text.empty() ? "" : ", ", roll_.name(rank), known.empty() ? "" : " (" + known + ")");
      }
      return text;
    };
    std::string with_places;
    if (heartbeat_)
      with_places = within_a_second([list, folder = heartbeat_->folder()] {
        return list([&](std::size_t rank) { return Heartbeat::last_place(folder, static_cast<int>(rank)); });
      });
    return with_places.empty() ? list([](std::size_t) { return std::string(); }) : with_places;
  }

  std::string advice(const std::string& first) const {
    if (!heartbeat_) return first;
    return fmt::format("{}; what each rank did last is in {}", first, heartbeat_->folder().string());
  }

  // On the heartbeat's thread, where the rank's own hangs inside MPI and gives nothing up. MPI must not be called here.
  [[noreturn]] void stuck(std::uint64_t number) {
    // Where all ranks are stuck, the first to speak is the only one to be read: its launcher ends the others.
    std::this_thread::sleep_for(std::chrono::milliseconds(100) * std::min(rank_, 10));
    say_(Error(ExitCode::rank,
               fmt::format("rank {} of {} is stuck inside MPI or NCCL in collective number {}; {}", rank_, size_,
                           number, place_text(recorder_.state())),
               advice("look at the network between the hosts")));
    std::_Exit(static_cast<int>(ExitCode::rank));
  }

  [[noreturn]] void give_up(const char* name, std::uint64_t number, double waited) {
    if (heartbeat_) heartbeat_->gives_up(number);
    recorder_.wait_for(0);  // it gives up by itself: the heartbeat is not to take it for stuck meanwhile
    const auto begun = roll_.answer(sequence_, kRollCallSeconds);
    // After the roll, since the disk may be what hangs.
    if (heartbeat_) within_a_second([this] { return heartbeat_->write(), std::string(); });
    // Who answers from an earlier collective waits there for one of those that say nothing, and is not to blame.
    const bool silent = std::any_of(begun.begin(), begun.end(), [](auto collectives) { return collectives == 0; });
    std::vector<std::size_t> missing;
    std::size_t speaker = begun.size();
    for (std::size_t rank = 0; rank < begun.size(); ++rank) {
      if (begun[rank] != 0) speaker = std::min(speaker, rank);
      if (silent ? begun[rank] == 0 : begun[rank] < number) missing.push_back(rank);
    }
    if (speaker == static_cast<std::size_t>(rank_)) {
      say_(Error(ExitCode::rank,
                 fmt::format("collective '{}' (number {}) has waited {:.0f} s on rank {} of {}; missing: {}", name,
                             number, waited, rank_, size_, named(missing)),
                 advice("look at that rank's host; raise --watchdog.limit if it is only slow")));
      MpiSession::abort(static_cast<int>(ExitCode::rank));
    }
    // The speaker ends all ranks; this is for the case that it cannot.
    for (const auto start = Clock::now(); seconds_since(start) < kRollCallSeconds;) sched_yield();
    MpiSession::abort(static_cast<int>(ExitCode::rank));
  }

  static constexpr double kRollCallSeconds = 2, kBeatSeconds = 1, kBeatsPerSecond = 256;

  MPI_Comm comm_, sums_comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1, local_rank_ = 0;
  MpiSession::Say say_;
  RollCall roll_;
  std::uint64_t sequence_ = 0;                  // collectives begun
  std::atomic<double> limit_ = kUnstatedLimit;  // the heartbeat's thread reads it
  FlightRecorder recorder_;
  std::optional<Heartbeat> heartbeat_;
  std::vector<std::unique_ptr<MpiSum>> flying_, idle_;
  Traffic traffic_;
};

}  // namespace

bool started_by_mpi_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

namespace {

// For what hangs before there is a communicator whose collectives have names and limits. Cluster launchers bring up
// thousands of ranks in less.
constexpr double kStartSeconds = 600;

std::string launchers_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"})
    if (const char* rank = std::getenv(name)) return rank;
  return "?";
}

}  // namespace

MpiSession::MpiSession(Say say) {
  const TimeLimit limit(kStartSeconds, [&say] {
    say(Error(ExitCode::rank,
              fmt::format("MPI has not started within {:.0f} s on rank {}, {}: it waits for other ranks", kStartSeconds,
                          launchers_rank(), host_name()),
              "look at the hosts of the job and at the network between them"));
    std::_Exit(static_cast<int>(ExitCode::rank));
  });
  int provided = 0;
  // The I/O threads never call MPI, so FUNNELED is enough.
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    throw Error(ExitCode::rank, "MPI does not start", "is the program run by the mpirun it was built with?");
  if (provided < MPI_THREAD_FUNNELED)
    throw Error(ExitCode::rank, "this MPI cannot be used by a program that has threads",
                "use an MPI that gives MPI_THREAD_FUNNELED");
  auto* failing = new MPI_Comm;
  MPI_Comm_dup(MPI_COMM_WORLD, failing);
  // As those of the communicator: what MPI has to say must not come before the error that a rank leaves with.
  MPI_Comm_set_errhandler(*failing, MPI_ERRORS_RETURN);
  failing_ = failing;
  world_ = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, say);
  say_ = std::move(say);
}

void MpiSession::finish() {
  const auto seconds = static_cast<const MpiCommunicator&>(*world_).limit();
  std::optional<TimeLimit> limit;
  if (seconds > 0)
    limit.emplace(seconds, [this, seconds] {
      say_(Error(ExitCode::rank,
                 fmt::format("MPI has not ended within {:.0f} s on rank {} of {}, {}: it waits for other ranks",
                             seconds, world_->rank(), world_->size(), host_name()),
                 "the job's work is done; look at the hosts of the job and at the network between them"));
      std::_Exit(static_cast<int>(ExitCode::rank));
    });
  auto* failing = static_cast<MPI_Comm*>(failing_);
  MPI_Comm_free(failing);
  delete failing;
  failing_ = nullptr;
  MPI_Finalize();
}

bool MpiSession::in_flight() const { return static_cast<const MpiCommunicator&>(*world_).in_flight(); }

void MpiSession::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

bool MpiSession::all_failing(double seconds) {
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Ibarrier(*static_cast<MPI_Comm*>(failing_), &request) != MPI_SUCCESS) return false;
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    int done = 0;
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
    if (done) return true;
    // Who asks waits in a collective, and does not come here.
    if (static_cast<const MpiCommunicator&>(*world_).called()) return false;
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
