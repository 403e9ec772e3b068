#include "distributed/pair_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace langrun {
namespace {

[[noreturn]] void refuse(const char* name) {
  throw Error(ExitCode::internal,
              fmt::format("collective '{}' was asked of a pair of ranks, which adds nothing up", name));
}

}  // namespace

PairCommunicator::PairCommunicator(LinkProbe& probe, int own, int partner)
    : probe_(probe), own_(own), partner_(partner) {}

std::vector<std::byte> PairCommunicator::swap(const char* name, std::span<const std::byte> own) {
  auto theirs = probe_.swap(partner_, own);
  if (!theirs)
    throw Error(ExitCode::rank, fmt::format("collective '{}' of ranks {} and {}: no answer", name, own_, partner_));
  return std::move(*theirs);
}

void PairCommunicator::barrier(const char* name) { swap(name, {}); }

void PairCommunicator::broadcast(const char* name, std::span<std::byte> bytes, int root) {
  const auto theirs = swap(name, bytes);
  if (root != rank()) std::copy_n(theirs.begin(), std::min(theirs.size(), bytes.size()), bytes.begin());
}

std::vector<std::vector<std::byte>> PairCommunicator::gather_all(const char* name, std::span<const std::byte> bytes) {
  std::vector<std::vector<std::byte>> all{{bytes.begin(), bytes.end()}, swap(name, bytes)};
  if (rank() == 1) std::swap(all[0], all[1]);
  return all;
}

void PairCommunicator::maximum(const char* name, std::span<std::int64_t> values) {
  const auto theirs = swap(name, std::as_bytes(values));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int64_t other = 0;
    std::memcpy(&other, theirs.data() + i * sizeof other, sizeof other);
    values[i] = std::max(values[i], other);
  }
}

void PairCommunicator::gather_blocks(const char* name, std::span<const float>, std::span<float>) { refuse(name); }
Communicator::Ticket PairCommunicator::begin_sum(const char* name, std::span<float>) { refuse(name); }
void PairCommunicator::finish_sum(Ticket) { refuse("finish_sum"); }
void PairCommunicator::sum_in_library_order(const char* name, std::span<float>) { refuse(name); }

}  // namespace langrun
