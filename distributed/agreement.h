// Decisions and failures that all ranks share (design invariant 4).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace langrun {

/// Name of this host, for messages.
std::string host_name();

/// Runs `part` on every rank, then agrees: where it threw on any rank, all ranks throw the lowest failing rank's error,
/// which names rank and host unless it is rank 0's. Collective, all ranks; blocks until the slowest is through. `part`
/// may itself call collectives only where no rank can throw before the last of them.
void agree(Communicator& world, const char* name, const std::function<void()>& part);

/// Runs `part` on rank 0 alone and gives its text to every rank; its error is every rank's error. Collective.
std::string on_root(Communicator& world, const char* name, const std::function<std::string()>& part);

/// The same for work that takes its time whatever the limit on a collective is, such as reading a checkpoint: rank 0
/// does it in a thread of its own, and the ranks meet every second, so that one that is lost is found within the limit.
/// After Communicator::kUnstatedLimit seconds rank 0 comes to no more meetings. `part` makes no collectives.
std::string on_root_slowly(Communicator& world, const char* name, const std::function<std::string()>& part);

/// Every rank's text, by rank, on every rank. Collective.
std::vector<std::string> by_rank(Communicator& world, const char* name, const std::string& own);

}  // namespace langrun
