// Who is missing, once a collective has waited too long.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace langrun {

/// What ranks tell each other once one of them has given a collective up, on a communicator of its own: the
/// collectives' one is blocked by then.
class RollCall {
 public:
  /// Collective, all ranks of `comm`.
  explicit RollCall(MPI_Comm comm);
  /// True where another rank has called the roll.
  bool called() const;
  /// Tells all ranks how many collectives this one has begun, listens for `seconds`, and gives each rank's number by
  /// rank: 0 for those that said nothing.
  std::vector<std::uint64_t> answer(std::uint64_t own, double seconds);
  /// "rank 3 on host-b"
  std::string name(std::size_t rank) const;

 private:
  static constexpr int kTag = 7;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::vector<char> hosts_;
  std::uint64_t sent_ = 0;  // outlives the sends, which nobody waits for
};

}  // namespace langrun
