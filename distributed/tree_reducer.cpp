#include "distributed/tree_reducer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "distributed/tree_sum.h"

namespace langrun {
namespace {

// Floats of one sum between ranks at most: large enough for bandwidth, small enough that one piece is added while
// another travels, and that what is sent is still in cache.
constexpr std::size_t kPiece = std::size_t{1} << 19;

}  // namespace

TreeReducer::TreeReducer(Communicator& world, const Lanes& lanes, std::size_t elements, std::string name)
    : world_(world), lanes_(lanes), elements_(elements), name_(std::move(name)), begun_(elements) {}

TreeReducer::~TreeReducer() {
  // On the way out with an error of this rank alone: others still write into what was begun, and nobody may wait for
  // them here (design invariant 4). The memory is left to the end of the program.
  if (!tickets_.empty()) static_cast<void>(new std::vector<float>(std::move(leaf_)));
}

std::span<float> TreeReducer::lane() {
  if (added_ == lanes_.owned)
    throw Error(ExitCode::internal, fmt::format("reduction '{}' was given more than {} lanes", name_, lanes_.owned));
  if (open_) return leaf_;
  if (leaf_.empty() && !spare_.empty()) {
    leaf_ = std::move(spare_.back());
    spare_.pop_back();
  }
  leaf_.resize(elements_);
  open_ = true;
  return leaf_;
}

void TreeReducer::add() {
  if (!open_) throw Error(ExitCode::internal, fmt::format("reduction '{}': no lane was written", name_));
  if (at_last_lane()) {
    begin_from(0);
    for (auto& node : stack_) spare_.push_back(std::move(node.sum));
    stack_.clear();
  } else {
    stack_.push_back({1, std::exchange(leaf_, {})});
    // Two sums of equally many lanes are the children of one node: left + right, in lane order.
    while (stack_.size() > 1 && stack_[stack_.size() - 2].leaves == stack_.back().leaves) {
      auto& left = stack_[stack_.size() - 2];
      add_into(left.sum, stack_.back().sum);
      left.leaves *= 2;
      spare_.push_back(std::move(stack_.back().sum));
      stack_.pop_back();
    }
  }
  open_ = false;
  ++added_;
}

void TreeReducer::begin_from(std::size_t first) {
  if (!open_ || !at_last_lane() || first > begun_)
    throw Error(ExitCode::internal, fmt::format("reduction '{}' was begun out of order", name_));
  while (begun_ > first) {
    const auto from = begun_ - first > kPiece ? begun_ - kPiece : first;
    const auto piece = std::span(leaf_).subspan(from, begun_ - from);
    // Every node that waits is the left child of the path from the last lane to the top of this rank's subtree.
    for (auto node = stack_.rbegin(); node != stack_.rend(); ++node)
      add_from_left(std::span<const float>(node->sum).subspan(from, piece.size()), piece);
    begun_ = from;
    // Design invariant 4: pieces are begun in the order of their places, whatever became ready first.
    if (world_.size() > 1) tickets_.push_back(world_.begin_sum(name_.c_str(), piece));
    world_.progress();
  }
}

void TreeReducer::progress() { world_.progress(); }

std::span<const float> TreeReducer::finalize() {
  if (added_ != lanes_.owned)
    throw Error(ExitCode::internal,
                fmt::format("reduction '{}' was finalised before all {} lanes were added", name_, lanes_.owned));
  for (const auto ticket : tickets_) world_.finish_sum(ticket);
  tickets_.clear();
  added_ = 0;
  begun_ = elements_;
  return leaf_;
}

}  // namespace langrun
