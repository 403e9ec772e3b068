// A test part: a stand-in for NCCL and CUDA over host memory, so that what NcclCommunicator and NcclReducer do with
// them (order, groups, polling, limits, giving up) is tested where there is no GPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "distributed/nccl_functions.h"

namespace langrun {

/// Something that goes wrong on one rank.
struct NcclFault {
  enum class What {
    start_refused,  ///< ncclCommInitRankConfig gives `code`, and no communicator
    start_fails,    ///< it is in progress, then `code`
    start_endless,  ///< it stays in progress
    host_endless,   ///< call number `at` stays in progress: no kernel is launched
    kernel_fails,   ///< call number `at` launches a kernel that is never done, and the error state becomes `code`
    late_error,     ///< call number `at` is done, then the error state becomes `code`
    slow,           ///< the kernel of call number `at` takes `seconds` before it looks at the other ranks
    abort_endless,  ///< ncclCommAbort does not return, and the rank's kernels go on
  };
  What what;
  int rank = 0;
  std::uint64_t at = 1;  ///< a group is one call; neither start nor end counts
  ncclResult_t code = ncclSystemError;
  double seconds = 0;
};

/// Machines with a GPU each, for ranks that are threads of this process: a thread that makes streams, communicators or
/// memory has its own GPU.
///
/// - Streams run what they are given in order, later, each on a thread of its own; an event is never there at first.
/// - Communicators must be non-blocking. A call is in progress at first, and its kernel on the stream only once the
///   error state, asked for several times, no longer says so. Whoever calls again before gets ncclInvalidArgument.
/// - Kernels meet as NcclClique says; what ranks do wrong becomes the error state of all of them, with a text, and the
///   kernels spin on. So does a kernel whose peers do not come. Only an abort of their own communicator ends them.
/// - Calls of a group are launched as one kernel when it ends; none of them where one was refused.
/// - Finalising is in progress until all ranks do it; destroying wants it done.
/// - Memory is full of NaN when it is new. Where NCCL, a copy or a sum gets anything else than memory of the calling
///   rank's GPU, it is refused. Freeing waits for all of that GPU's streams.
class NcclHost {
 public:
  /// `memory` in bytes: what each rank's GPU has.
  explicit NcclHost(std::vector<NcclFault> faults = {}, std::size_t memory = std::numeric_limits<std::size_t>::max());
  /// Ends all kernels and waits for the streams. The ranks' threads must be through.
  ~NcclHost();
  NcclHost(const NcclHost&) = delete;
  NcclHost& operator=(const NcclHost&) = delete;

  /// The table that reaches it. Usable as long as this host is there, and harmless afterwards where only an endless
  /// abort is still in it.
  NcclFunctions functions() const;

  /// What has not been given back: "1 communicator, 2 streams, 1 event, 3 blocks of memory, 1 open group, 1 free that
  /// would wait for ever"; empty where all is clean.
  std::string leftovers() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace langrun
