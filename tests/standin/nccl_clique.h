// A test part: what the kernels of a communicator's ranks do to each other's memory once they run at the same time.
#pragma once

#include <nccl.h>

#include <cstddef>
#include <string>
#include <vector>

namespace langrun {

/// One call, as its kernel sees it.
struct NcclOperation {
  enum class Kind { all_reduce, all_gather, send, receive };
  Kind kind;
  const void* input = nullptr;  // null for receive
  void* output = nullptr;       // null for send
  std::size_t count = 0;        // elements: of all_gather, those of one rank
  ncclDataType_t type = ncclFloat;
  ncclRedOp_t sum = ncclSum;
  int peer = -1;  // of send and receive
  bool done = false;
};

/// What one call launches, or all calls of one group.
struct NcclKernel {
  std::vector<NcclOperation> operations;
  bool done = false;
};

/// Bytes of one element; 0 for a type that the stand-in does not know.
std::size_t bytes_of(ncclDataType_t type);

/// The ranks of one communicator. Not safe from several threads: its owner locks.
class NcclClique {
 public:
  explicit NcclClique(int size) : running_(static_cast<std::size_t>(size), nullptr) {}
  int size() const { return static_cast<int>(running_.size()); }

  /// `rank`'s next kernel runs from now on, until it is done: all kernels go on as far as they can. A send goes with
  /// the receive in its peer's running kernel, so of two ranks that both send first in separate calls neither gets
  /// further. All-reduce adds in the order of ranks, one after the other. Gives what the ranks do wrong: collectives
  /// that differ in kind, count or type, a send and its receive that do, or a circle of ranks that wait for each other.
  std::string run(int rank, NcclKernel& kernel);
  /// `rank`'s kernel ends without being done.
  void withdraw(int rank) { running_[static_cast<std::size_t>(rank)] = nullptr; }

 private:
  std::string match_collectives(bool& moved);
  std::string match_messages(bool& moved);
  std::string circle() const;
  void retire();

  std::vector<NcclKernel*> running_;  // by rank
};

}  // namespace langrun
