#include "distributed/link_probe.h"

#include <fmt/format.h>
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "core/error.h"
#include "distributed/mpi_sum.h"

namespace langrun {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPings = 21, kLargePings = 4, kClockPings = 9;
// Ranks come to the probe as they are through with what is before it.
constexpr double kMeetingLimits = 10;
// MPI promises tags up to 32767.
constexpr int kTags = 32768;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

struct LinkProbe::State {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0;
  double limit = 0;
  std::vector<std::byte> out, in;
  std::vector<int> calls;  // made with each partner so far: both of a pair count alike, so it tells calls apart
  bool left_behind = false;

  /// Polls until it is through or the time is up; then MPI keeps the message and its memory.
  bool finish(MPI_Request& request, Clock::time_point until) {
    for (std::uint64_t polls = 0;; ++polls) {
      int done = 0;
      check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "link probe");
      if (done != 0) return true;
      if (polls > 100) sched_yield();
      if (polls % 64 == 63 && Clock::now() > until) break;
    }
    left_behind = true;
    return false;
  }

  bool send(int partner, int tag, std::size_t bytes, Clock::time_point until) {
    MPI_Request request;
    check_mpi(MPI_Isend(out.data(), static_cast<int>(bytes), MPI_BYTE, partner, tag, comm, &request), "link probe");
    return finish(request, until);
  }
  bool receive(int partner, int tag, std::size_t bytes, Clock::time_point until) {
    MPI_Request request;
    check_mpi(MPI_Irecv(in.data(), static_cast<int>(bytes), MPI_BYTE, partner, tag, comm, &request), "link probe");
    return finish(request, until);
  }

  Clock::time_point deadline() const {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(limit));
  }
  int next_tag(int partner) { return calls[static_cast<std::size_t>(partner)]++ % kTags; }

  /// What an abandoned call left in flight may still be written into: its memory stays, and new memory is used.
  void make_room(std::size_t bytes) {
    if (left_behind) {
      static_cast<void>(new std::vector<std::byte>(std::move(out)));
      static_cast<void>(new std::vector<std::byte>(std::move(in)));
      out = in = {};
      left_behind = false;
    }
    if (out.size() >= bytes) return;
    out.assign(bytes, std::byte{1});
    in.assign(bytes, std::byte{});
  }

  /// One way there and back, `times` times; seconds of each on the rank that leads. False: the partner is gone.
  bool ping(int partner, int tag, std::size_t bytes, int times, std::vector<double>& seconds) {
    const bool leads = rank < partner;
    const auto until = deadline();
    for (int i = 0; i < times; ++i) {
      const auto start = Clock::now();
      const bool through = leads ? send(partner, tag, bytes, until) && receive(partner, tag, bytes, until)
                                 : receive(partner, tag, bytes, until) && send(partner, tag, bytes, until);
      if (!through) return false;
      seconds.push_back(seconds_since(start));
    }
    return true;
  }
};

LinkProbe::LinkProbe(double limit) : state_(std::make_unique<State>()) {
  MPI_Request request;
  check_mpi(MPI_Comm_idup(MPI_COMM_WORLD, &state_->comm, &request), "link probe");
  const auto until =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kMeetingLimits * limit));
  if (!state_->finish(request, until)) {
    static_cast<void>(state_.release());  // MPI may still write into it
    throw Error(ExitCode::rank, fmt::format("the ranks did not meet within {:.0f} s", kMeetingLimits * limit),
                "look at the hosts of the job and at the network between them");
  }
  MPI_Comm_set_errhandler(state_->comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(state_->comm, &state_->rank);
  int size = 1;
  MPI_Comm_size(state_->comm, &size);
  state_->limit = limit;
  state_->calls.assign(static_cast<std::size_t>(size), 0);
}

// The communicator is left to MPI's end: giving it back is a collective, and a rank may be gone (design invariant 4).
LinkProbe::~LinkProbe() {
  if (state_->left_behind) state_->make_room(0);
}

std::optional<Link> LinkProbe::measure(int partner, std::size_t bytes) {
  const int tag = state_->next_tag(partner);
  state_->make_room(std::max(bytes, sizeof(double)));
  std::vector<double> small, large;
  if (!state_->ping(partner, tag, sizeof(double), kPings, small)) return std::nullopt;
  if (!state_->ping(partner, tag, bytes, kLargePings, large)) return std::nullopt;
  std::nth_element(small.begin(), small.begin() + kPings / 2, small.end());
  const double fastest = *std::min_element(large.begin(), large.end());
  return Link{small[kPings / 2] / 2, static_cast<double>(bytes) * 2 / std::max(fastest, 1e-9)};
}

std::optional<double> LinkProbe::clock_ahead(int partner) {
  const int tag = state_->next_tag(partner);
  state_->make_room(sizeof(double));
  const auto until = state_->deadline();
  const bool leads = state_->rank < partner;
  double quickest = std::numeric_limits<double>::infinity(), ahead = 0;
  for (int i = 0; i < kClockPings; ++i) {
    if (!leads) {
      if (!state_->receive(partner, tag, sizeof(double), until)) return std::nullopt;
      const double now = wall_clock();
      std::memcpy(state_->out.data(), &now, sizeof now);
      if (!state_->send(partner, tag, sizeof now, until)) return std::nullopt;
      continue;
    }
    const double before = wall_clock();
    const auto start = Clock::now();
    if (!state_->send(partner, tag, sizeof(double), until)) return std::nullopt;
    if (!state_->receive(partner, tag, sizeof(double), until)) return std::nullopt;
    const double taken = seconds_since(start);
    if (taken >= quickest) continue;
    quickest = taken;
    double theirs = 0;
    std::memcpy(&theirs, state_->in.data(), sizeof theirs);
    // The partner looked at its clock half-way, as far as one can tell.
    ahead = theirs - (before + taken / 2);
  }
  return ahead;
}

std::optional<std::vector<std::byte>> LinkProbe::swap(int partner, std::span<const std::byte> own) {
  if (own.size() > kMostSwapped) throw Error(ExitCode::internal, "a link probe was to swap too much");
  const int tag = state_->next_tag(partner);
  state_->make_room(kMostSwapped + sizeof(std::uint64_t));
  const auto until = state_->deadline();
  const std::uint64_t bytes = own.size();
  std::memcpy(state_->out.data(), &bytes, sizeof bytes);
  std::copy(own.begin(), own.end(), state_->out.begin() + sizeof bytes);
  const auto whole = kMostSwapped + sizeof bytes;
  const bool leads = state_->rank < partner;
  const bool through = leads ? state_->send(partner, tag, whole, until) && state_->receive(partner, tag, whole, until)
                             : state_->receive(partner, tag, whole, until) && state_->send(partner, tag, whole, until);
  if (!through) return std::nullopt;
  std::uint64_t given = 0;
  std::memcpy(&given, state_->in.data(), sizeof given);
  const auto first = state_->in.begin() + sizeof given;
  return std::vector<std::byte>(first,
                                first + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(given, kMostSwapped)));
}

}  // namespace langrun
