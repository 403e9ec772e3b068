// What the rest of langrun knows of other ranks: a handful of collectives over host memory.
//
// Rules (design invariant 4): every rank calls the same collectives, with the same names, in the same order. Each call
// blocks until all ranks have made it. Once the time limit of the communicator has passed, the program ends with exit
// code 5, naming the collective, its sequence number and the ranks that are missing. Nothing here runs in a destructor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
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

  /// One block to and from every rank. `send` holds size() blocks of `count` floats, block r for rank r; afterwards
  /// `receive` holds size() blocks, block r from rank r. The slices of the tree reduction travel by it.
  virtual void exchange(const char* name, std::span<const float> send, std::span<float> receive, std::size_t count) = 0;
  /// Every rank's `own` block, by rank: `all` holds size() blocks of own.size() floats.
  virtual void gather_blocks(const char* name, std::span<const float> own, std::span<float> all) = 0;

  /// Seconds a collective may take before the program is ended (see MpiSession); 0 waits for ever.
  virtual void set_limit(double seconds) = 0;
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
  /// Throws Error(rank) where MPI does not start. Where a collective is not through within its limit, the ranks that
  /// wait in it ask all others whether they are there; the lowest of them calls `say` with an Error that names those
  /// missing, and every rank is ended with exit code 5. There is no way back: MPI may still write into the call's
  /// buffers.
  explicit MpiSession(Say say);
  Communicator& world() { return *world_; }
  /// All ranks: an orderly end. Without it the destructor does nothing, and the launcher ends the other ranks.
  void finish();
  /// Ends every rank at once with this exit code. Does not return.
  [[noreturn]] static void abort(int code);
  /// True where all ranks come here within `seconds`: the sign that all of them failed alike, so that one may speak
  /// for them. Called by a rank on its way out with an error, at most once.
  bool all_failing(double seconds);

 private:
  std::unique_ptr<Communicator> world_;
  void* failing_ = nullptr;  // an MPI_Comm of its own, so that no pending collective can get in the way
};

/// Version text of the MPI library.
std::string mpi_library_version();

}  // namespace langrun
