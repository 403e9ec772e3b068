#include "distributed/roll_call.h"

#include <fmt/format.h>
#include <sched.h>

#include <array>
#include <chrono>

#include "distributed/agreement.h"

namespace langrun {

RollCall::RollCall(MPI_Comm comm) {
  MPI_Comm_dup(comm, &comm_);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  std::array<char, 64> own{};
  host_name().copy(own.data(), own.size() - 1);
  hosts_.resize(own.size() * static_cast<std::size_t>(size_));
  MPI_Allgather(own.data(), static_cast<int>(own.size()), MPI_CHAR, hosts_.data(), static_cast<int>(own.size()),
                MPI_CHAR, comm_);
}

bool RollCall::called() const {
  int there = 0;
  return MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &there, MPI_STATUS_IGNORE) == MPI_SUCCESS && there != 0;
}

std::vector<std::uint64_t> RollCall::answer(std::uint64_t own, double seconds) {
  std::vector<std::uint64_t> begun(static_cast<std::size_t>(size_), 0);
  begun[static_cast<std::size_t>(rank_)] = own;
  sent_ = own;
  for (int to = 0; to < size_; ++to) {
    MPI_Request forgotten;
    if (to != rank_) MPI_Isend(&sent_, 1, MPI_UINT64_T, to, kTag, comm_, &forgotten);
  }
  using Clock = std::chrono::steady_clock;
  for (const auto start = Clock::now(); std::chrono::duration<double>(Clock::now() - start).count() < seconds;
       sched_yield()) {
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, kTag, comm_, &there, &status);
    if (there == 0) continue;
    MPI_Recv(&begun[static_cast<std::size_t>(status.MPI_SOURCE)], 1, MPI_UINT64_T, status.MPI_SOURCE, kTag, comm_,
             MPI_STATUS_IGNORE);
  }
  return begun;
}

std::string RollCall::name(std::size_t rank) const {
  return fmt::format("rank {} on {}", rank, &hosts_[rank * hosts_.size() / static_cast<std::size_t>(size_)]);
}

}  // namespace langrun
