#include "tests/standin/nccl_clique.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "distributed/tree_sum.h"

namespace langrun {
namespace {

using Kind = NcclOperation::Kind;

bool collective(const NcclOperation& operation) {
  return operation.kind == Kind::all_reduce || operation.kind == Kind::all_gather;
}

std::string describe(const NcclOperation& operation) {
  const char* kinds[] = {"all_reduce", "all_gather", "send", "receive"};
  auto text = fmt::format("{} of {} elements of type {}", kinds[static_cast<int>(operation.kind)], operation.count,
                          static_cast<int>(operation.type));
  if (operation.kind == Kind::send) text += fmt::format(" to rank {}", operation.peer);
  if (operation.kind == Kind::receive) text += fmt::format(" from rank {}", operation.peer);
  return text;
}

template <typename Wanted>
NcclOperation* first(NcclKernel* kernel, Wanted wanted) {
  if (kernel == nullptr) return nullptr;
  const auto found = std::ranges::find_if(kernel->operations, [&](const auto& o) { return !o.done && wanted(o); });
  return found == kernel->operations.end() ? nullptr : &*found;
}

// One rank's after the other: another order than the tree's from four ranks on.
void all_reduce(const std::vector<NcclOperation*>& parts) {
  const auto count = parts[0]->count;
  const auto* start = static_cast<const float*>(parts[0]->input);
  std::vector<float> sum(start, start + count);
  for (std::size_t r = 1; r < parts.size(); ++r) add_into(sum, {static_cast<const float*>(parts[r]->input), count});
  for (auto* part : parts) std::memcpy(part->output, sum.data(), count * sizeof(float));
}

void all_gather(const std::vector<NcclOperation*>& parts) {
  const auto bytes = parts[0]->count * bytes_of(parts[0]->type);
  std::vector<std::byte> all(bytes * parts.size());
  for (std::size_t r = 0; r < parts.size(); ++r) std::memcpy(all.data() + r * bytes, parts[r]->input, bytes);
  for (auto* part : parts) std::memcpy(part->output, all.data(), all.size());
}

}  // namespace

std::size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8: return 1;
    case ncclInt32:
    case ncclFloat32: return 4;
    case ncclInt64:
    case ncclFloat64: return 8;
    default: return 0;
  }
}

std::string NcclClique::run(int rank, NcclKernel& kernel) {
  running_[static_cast<std::size_t>(rank)] = &kernel;
  for (bool moved = true; moved;) {
    moved = false;
    if (auto wrong = match_collectives(moved); !wrong.empty()) return wrong;
    if (auto wrong = match_messages(moved); !wrong.empty()) return wrong;
  }
  retire();
  return circle();
}

std::string NcclClique::match_collectives(bool& moved) {
  std::vector<NcclOperation*> parts;
  int of = -1;
  for (int rank = 0; rank < size(); ++rank) {
    auto* next = first(running_[static_cast<std::size_t>(rank)], collective);
    if (next == nullptr) continue;
    if (!parts.empty() && (next->kind != parts[0]->kind || next->count != parts[0]->count ||
                           next->type != parts[0]->type || next->sum != parts[0]->sum))
      return fmt::format("rank {} is in {}, rank {} in {}", of, describe(*parts[0]), rank, describe(*next));
    if (parts.empty()) of = rank;
    parts.push_back(next);
  }
  if (parts.size() < running_.size()) return {};
  if (parts[0]->kind == Kind::all_reduce)
    all_reduce(parts);
  else
    all_gather(parts);
  for (auto* part : parts) part->done = true;
  moved = true;
  return {};
}

std::string NcclClique::match_messages(bool& moved) {
  for (int from = 0; from < size(); ++from)
    for (int to = 0; to < size(); ++to) {
      auto* send = first(running_[static_cast<std::size_t>(from)],
                         [&](const auto& o) { return o.kind == Kind::send && o.peer == to; });
      auto* receive = first(running_[static_cast<std::size_t>(to)],
                            [&](const auto& o) { return o.kind == Kind::receive && o.peer == from; });
      if (send == nullptr || receive == nullptr) continue;
      if (send->count != receive->count || send->type != receive->type)
        return fmt::format("rank {} is in {}, rank {} in {}", from, describe(*send), to, describe(*receive));
      std::memcpy(receive->output, send->input, send->count * bytes_of(send->type));
      send->done = receive->done = true;
      moved = true;
    }
  return {};
}

void NcclClique::retire() {
  for (auto*& kernel : running_) {
    if (kernel == nullptr || first(kernel, [](const auto&) { return true; }) != nullptr) continue;
    kernel->done = true;
    kernel = nullptr;
  }
}

std::string NcclClique::circle() const {
  std::string text;
  for (int rank = 0; rank < size(); ++rank) {
    const auto* waits = first(running_[static_cast<std::size_t>(rank)], [](const auto&) { return true; });
    if (waits == nullptr) return {};
    text +=
        fmt::format("{}rank {} in {}", rank == 0 ? "all ranks wait for each other: " : ", ", rank, describe(*waits));
  }
  return text;
}

}  // namespace langrun
