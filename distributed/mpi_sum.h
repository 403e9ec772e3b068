// A sum over ranks in tree order, in flight.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace langrun {

/// Throws Error(rank) with MPI's own words where `code` is not success.
void check_mpi(int code, const char* name);

/// One sum at a time, by messages that nobody waits for: each rank sends slice r of its vector to rank r, adds the
/// slices it got in tree order, and sends its sum to all. 2 (R-1)/R times the vector leaves a rank, the volume of a
/// ring all-reduce. Everything goes from and to its final place but for the slices to add.
class MpiSum {
 public:
  /// `comm` is for these sums alone.
  explicit MpiSum(MPI_Comm comm);
  /// Sends this rank's slices. `number` is the same on all ranks and tells sums in flight apart. Returns the bytes that
  /// the whole sum sends from this rank.
  std::uint64_t begin(const char* name, std::uint64_t number, std::span<float> values);
  /// Moves along without waiting; true once `values` holds the sum and no message of it is left.
  bool progress();
  const std::string& name() const { return name_; }
  std::uint64_t number() const { return number_; }

 private:
  std::span<float> slice(int rank) const;
  int tag(bool gathering) const;
  void send(int rank, std::span<const float> from, bool gathering);
  void receive(int rank, std::span<float> to, bool gathering);
  void add();

  MPI_Comm comm_;
  int rank_ = 0, size_ = 1;
  std::string name_;
  std::uint64_t number_ = 0;
  std::span<float> values_;
  bool gathering_ = false;
  std::vector<float> received_;  // [R - 1, slice]: what other ranks sent of this rank's slice
  std::vector<float*> parts_;    // by rank
  std::vector<MPI_Request> requests_;
};

}  // namespace langrun
