#include "distributed/mpi_sum.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "distributed/tree_sum.h"

namespace langrun {

void check_mpi(int code, const char* name) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(ExitCode::rank,
              fmt::format("collective '{}' failed: {}", name, std::string(text, static_cast<std::size_t>(length))));
}

MpiSum::MpiSum(MPI_Comm comm) : comm_(comm) {
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  parts_.resize(static_cast<std::size_t>(size_));
}

std::span<float> MpiSum::slice(int rank) const {
  const auto ranks = static_cast<std::size_t>(size_), r = static_cast<std::size_t>(rank);
  const auto length = (values_.size() + ranks - 1) / ranks;
  const auto first = std::min(values_.size(), r * length);
  return values_.subspan(first, std::min(length, values_.size() - first));
}

// MPI promises tags up to 32767; two sums of one tag would have to be 8192 collectives apart and both in flight.
int MpiSum::tag(bool gathering) const { return static_cast<int>(number_ % 8192) * 2 + (gathering ? 1 : 0); }

void MpiSum::send(int rank, std::span<const float> from, bool gathering) {
  check_mpi(MPI_Isend(from.data(), static_cast<int>(from.size()), MPI_FLOAT, rank, tag(gathering), comm_,
                      &requests_.emplace_back()),
            name_.c_str());
}

void MpiSum::receive(int rank, std::span<float> to, bool gathering) {
  check_mpi(MPI_Irecv(to.data(), static_cast<int>(to.size()), MPI_FLOAT, rank, tag(gathering), comm_,
                      &requests_.emplace_back()),
            name_.c_str());
}

std::uint64_t MpiSum::begin(const char* name, std::uint64_t number, std::span<float> values) {
  name_ = name;
  number_ = number;
  values_ = values;
  gathering_ = false;
  requests_.clear();
  const auto own = slice(rank_);
  received_.resize(own.size() * static_cast<std::size_t>(size_ - 1));
  float* place = received_.data();
  for (int r = 0; r < size_; ++r) {
    parts_[static_cast<std::size_t>(r)] = r == rank_ ? own.data() : place;
    if (r == rank_) continue;
    receive(r, {place, own.size()}, false);
    place += own.size();
  }
  // Each rank begins with its right neighbour, so that not all write to rank 0 at once.
  for (int step = 1; step < size_; ++step) {
    const int to = (rank_ + step) % size_;
    send(to, slice(to), false);
  }
  return sizeof(float) * (values_.size() - own.size() + own.size() * static_cast<std::size_t>(size_ - 1));
}

bool MpiSum::progress() {
  int done = 0;
  check_mpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
            name_.c_str());
  if (!done) return false;
  if (gathering_) return true;
  requests_.clear();
  add();
  gathering_ = true;
  for (int r = 0; r < size_; ++r)
    if (r != rank_) receive(r, slice(r), true);
  for (int step = 1; step < size_; ++step) send((rank_ + step) % size_, slice(rank_), true);
  return false;
}

void MpiSum::add() {
  // Design invariant 3: a rank's vector is the sum of its subtree of lanes; the upper levels of the same tree add them.
  add_in_tree_order(parts_, slice(rank_));
}

}  // namespace langrun
