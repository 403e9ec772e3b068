// What the rest of langrun knows of other ranks: a handful of collectives over host memory.
//
// Rules (design invariant 4): every rank calls the same collectives, with the same names, in the same order. Each call
// blocks until all ranks have made it, but for sums: those are begun in the same order, and may be in flight while a
// rank computes or calls other collectives. Once the time limit of the communicator has passed, the program ends with
// exit code 5, naming the collective, its sequence number and the ranks that are missing, with the last place they were
// seen at. Nothing here runs in a destructor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace langrun {

class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Rank among those on the same host: which GPU is ours.
  virtual int local_rank() const = 0;

  /// Returns once all ranks are here.
  virtual void barrier(const char* name) = 0;
  /// Root's bytes on every rank. All ranks give the same length.
  virtual void broadcast(const char* name, std::span<std::byte> bytes, int root) = 0;
  /// Every rank's bytes, by rank, on every rank; lengths may differ.
  virtual std::vector<std::vector<std::byte>> gather_all(const char* name, std::span<const std::byte> bytes) = 0;
  /// Elementwise largest value over ranks, on every rank. Exact, so independent of order.
  virtual void maximum(const char* name, std::span<std::int64_t> values) = 0;

  /// Every rank's `own` block, by rank: `all` holds size() blocks of own.size() floats.
  virtual void gather_blocks(const char* name, std::span<const float> own, std::span<float> all) = 0;

  static constexpr double kUnstatedLimit = 7200;

  /// A sum in flight.
  using Ticket = std::uint64_t;

  /// Begins the elementwise sum of `values` over ranks and returns without waiting. Added in the order of a balanced
  /// binary tree over ranks (design invariant 3), the same bits on every rank. `values` belongs to the communicator
  /// until `finish_sum`, and holds the sum then: it must stay where it is even if the program is on its way out with an
  /// error, since ranks that have not noticed go on sending. All ranks give the same length.
  virtual Ticket begin_sum(const char* name, std::span<float> values) = 0;
  /// Moves the sums in flight along as far as that goes without waiting. Not a collective: any rank, any time, from the
  /// thread that makes the other calls. Nobody else moves them, so long computations should call it now and then.
  virtual void progress() = 0;
  /// Returns once the sum is complete; each ticket once, in any order.
  virtual void finish_sum(Ticket ticket) = 0;
  /// The sum in whatever order the library adds, blocking: what `bench` measures ours against. Without a limit of its
  /// own; `bench` has one around it.
  virtual void sum_in_library_order(const char* name, std::span<float> values) = 0;

  /// What begin_sum has cost this rank so far.
  struct Traffic {
    std::uint64_t sums = 0;        ///< begun
    std::uint64_t bytes_sent = 0;  ///< to other ranks
  };
  virtual Traffic traffic() const = 0;

  /// Seconds a collective may take before the program is ended (see MpiSession); 0 waits for ever. Until this is called
  /// it is `kUnstatedLimit`: commands that have no such option, and what comes before options are read.
  virtual void set_limit(double seconds) = 0;

  // Collectives that go another way than this communicator's own (NCCL's) have their places in the same order, so that
  // they are recorded, limited and looked after as others are.

  /// Such a collective begins, and this rank waits for it from now on. Its place in the order of collectives. Local; as
  /// every collective, by all ranks in the same order.
  virtual std::uint64_t begin_elsewhere(const char* /*name*/, std::uint64_t /*bytes*/) { return 0; }
  /// Called now and then while it waits, `waited` seconds so far. Ends the program as an own collective would: where
  /// the limit has passed, or another rank asks who is missing. Otherwise, and where there is nobody to ask, it
  /// returns.
  virtual void wait_elsewhere(const char* /*name*/, std::uint64_t /*number*/, double /*waited*/) {}
  /// It waits no longer: `through`, or given up with an error. Local.
  virtual void end_elsewhere(std::uint64_t /*number*/, bool /*through*/) {}

  /// What the job does from now on ("step 12, sampling"), for who asks where this rank was last. Local.
  virtual void enter(std::string_view /*phase*/) {}
  /// From now on this rank leaves signs of life and its flight recorder in `folder`, which is there and which all ranks
  /// see. Local, on every rank; with one rank nothing is written.
  virtual void watch(const std::filesystem::path& /*folder*/) {}
  /// The orderly end of it: this rank's file goes. Local.
  virtual void unwatch() {}
};

/// The communicator of a program that runs alone: every collective is a copy.
std::unique_ptr<Communicator> make_solo_communicator();

/// True where this process was started by mpirun, srun or another MPI launcher.
bool started_by_mpi_launcher();

/// MPI for the life of the program: initialises on construction, finalises in `finish`.
class MpiSession {
 public:
  /// Says an error, on one rank, before all are ended.
  using Say = std::function<void(const Error&)>;
  /// Throws Error(rank) where MPI does not start; where it hangs, the program says so after ten minutes and ends with
  /// exit code 5. Where a collective is not through within its limit, the ranks that wait in it ask all others whether
  /// they are there; the lowest of them calls `say` with an Error that names those missing, and every rank is ended
  /// with exit code 5. There is no way back: MPI may still write into the call's buffers.
  explicit MpiSession(Say say);
  Communicator& world() { return *world_; }
  /// All ranks: an orderly end, within the world's limit, after which the program says so and ends with exit code 5.
  /// Without it the destructor does nothing, and the launcher ends the other ranks.
  void finish();
  /// Whether sums of this rank are on their way: then there is no orderly end.
  bool in_flight() const;
  /// Ends every rank at once with this exit code. Does not return.
  [[noreturn]] static void abort(int code);
  /// True where all ranks come here within `seconds`: the sign that all of them failed alike, so that one may speak
  /// for them. Called by a rank on its way out with an error, at most once.
  bool all_failing(double seconds);

 private:
  std::unique_ptr<Communicator> world_;
  Say say_;
  void* failing_ = nullptr;  // an MPI_Comm of its own, so that no pending collective can get in the way
};

/// Version text of the MPI library.
std::string mpi_library_version();

}  // namespace langrun
