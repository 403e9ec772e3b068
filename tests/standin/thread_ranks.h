// A test part: ranks that are threads of one test process.
#pragma once

#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "distributed/communicator.h"

namespace langrun {

/// Runs `part` on `ranks` threads at once, each with its own communicator among them, and waits for all. Gives what
/// each rank threw, by rank; empty pointers where it returned.
///
/// Collectives must agree in name and length, as they must over MPI; here a rank that calls another one, and one that
/// waits for a rank which has returned or thrown, gets Error(rank) instead of waiting for ever.
std::vector<std::exception_ptr> run_ranks(int ranks, const std::function<void(Communicator&)>& part);

/// A wait that was looked after: the name of a collective elsewhere (NCCL's), and how it ended.
struct ElsewhereCall {
  std::string name;
  enum class End { waits, through, given_up } end = End::waits;
  bool looked_after = false;  ///< its waiting was told of
};
/// Collectives that went another way, in the order of their beginning. `world` is one of run_ranks.
const std::vector<ElsewhereCall>& elsewhere_of(const Communicator& world);

/// The text of what a rank threw; empty where it threw nothing.
std::string text_of(const std::exception_ptr& thrown);

}  // namespace langrun
