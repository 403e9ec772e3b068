// Collectives over GPU memory, by NCCL. Its logic is tested over host memory (tests/standin/nccl_host.h); the program's
// own table of functions is compiled and linked wherever CUDA is, and has not been run on a GPU yet.
//
// The rules are those of communicator.h: the same calls in the same order on every rank; each blocks the caller until
// it is done, or throws Error(rank) naming the collective, its number and the rank. NCCL itself reports a lost rank
// through asynchronous errors at best, so nothing here waits inside NCCL or CUDA: calls do not block, and completion
// is polled beside the error state and the clock. After an error the communicator is of no use: what is called then
// throws Error(rank) with that error's text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "distributed/communicator.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace langrun {

struct NcclFunctions;

class NcclCommunicator {
 public:
  /// Collective, all ranks of `world`, after bind_device: each rank on its own GPU. Rank 0's unique id goes out through
  /// `world`, which also records what is called here, looks after what waits too long, and outlives this. `limit` in
  /// seconds bounds this and every later collective; 0 waits for ever. `functions` reach NCCL
  /// (real_nccl_functions) or a stand-in for it. Throws Error(rank).
  NcclCommunicator(Communicator& world, double limit, const NcclFunctions& functions);
  /// Local: gives the communicator up without speaking to other ranks. `finish` is the orderly end.
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int rank() const;
  int size() const;
  /// What it was made with: memory that NCCL reads belongs to the same device.
  const NcclFunctions& functions() const;
  /// The stream all of it runs on; work put there before a call is seen by it.
  CUstream_st* stream() const;
  /// Lets stream() wait for what has been put on `producer` so far. Does not block the caller. Throws Error(rank).
  void after(CUstream_st* producer);

  /// values [count] float32 on the device become their sum over ranks, in an order that is NCCL's own.
  void all_reduce(const std::string& name, float* values, std::size_t count);
  /// An all-to-all of device memory: send and receive hold size() blocks of `count` float32; afterwards block
  /// r of receive came from rank r. All sends and receives form one group, so no order among ranks can block it.
  void exchange(const std::string& name, const float* send, float* receive, std::size_t count);
  /// Every rank's own [count] float32, by rank, in all [size(), count].
  void gather_blocks(const std::string& name, const float* own, float* all, std::size_t count);
  /// Returns once everything on stream() is done. Not a collective, but fails as one, since it may wait for one.
  void settle(const std::string& name);

  /// Bytes this rank has sent to others so far; of all_reduce, those of a ring.
  std::uint64_t bytes_sent() const;
  /// Collective, all ranks: the orderly end. Nothing may be called afterwards: Error(internal).
  void finish();
  /// True where NCCL did not return from giving the communicator up within a second: its kernels may spin on the
  /// GPU for ever, and whatever waits for that GPU, as freeing its memory does, would wait too.
  bool stuck() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace langrun
