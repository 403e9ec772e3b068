#include "distributed/tree_reducer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace langrun {
namespace {

// Floats per exchange: large enough for bandwidth, small enough that send, receive and slice stay in cache.
constexpr std::size_t kBucket = std::size_t{1} << 19;

void add_into(std::span<float> sum, std::span<const float> other) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
}

// Adds blocks [0, n) of `count` floats pairwise as the tree does, leaving the sum in block 0. n is a power of two.
void add_blocks(std::span<float> blocks, std::size_t n, std::size_t count) {
  for (std::size_t stride = 1; stride < n; stride *= 2)
    for (std::size_t b = 0; b + stride < n; b += 2 * stride)
      add_into(blocks.subspan(b * count, count), blocks.subspan((b + stride) * count, count));
}

}  // namespace

TreeReducer::TreeReducer(Communicator& world, const Lanes& lanes, std::size_t elements)
    : world_(world), lanes_(lanes), elements_(elements) {}

void TreeReducer::add(std::span<const float> lane) {
  if (lane.size() != elements_)
    throw Error(ExitCode::internal, fmt::format("reducer of {} floats was given {}", elements_, lane.size()));
  std::vector<float> leaf;
  if (!spare_.empty()) {
    leaf = std::move(spare_.back());
    spare_.pop_back();
  }
  leaf.assign(lane.begin(), lane.end());
  stack_.push_back({1, std::move(leaf)});
  // Two sums of equally many lanes are the children of one node: left + right, in lane order.
  while (stack_.size() > 1 && stack_[stack_.size() - 2].leaves == stack_.back().leaves) {
    auto& left = stack_[stack_.size() - 2];
    add_into(left.sum, stack_.back().sum);
    left.leaves *= 2;
    spare_.push_back(std::move(stack_.back().sum));
    stack_.pop_back();
  }
}

std::span<const float> TreeReducer::finalize(const std::string& name) {
  if (stack_.size() != 1 || stack_[0].leaves != lanes_.owned)
    throw Error(ExitCode::internal,
                fmt::format("reduction '{}' was finalised before all {} lanes were added", name, lanes_.owned));
  std::swap(total_, stack_[0].sum);
  spare_.push_back(std::move(stack_[0].sum));
  stack_.clear();
  if (world_.size() > 1)
    for (std::size_t first = 0; first < elements_; first += kBucket)
      reduce_bucket(name, first, std::min(kBucket, elements_ - first), total_);
  return total_;
}

void TreeReducer::reduce_bucket(const std::string& name, std::size_t first, std::size_t count,
                                std::vector<float>& total) {
  const auto ranks = static_cast<std::size_t>(world_.size());
  const std::size_t slice = (count + ranks - 1) / ranks;
  send_.assign(slice * ranks, 0.0f);
  receive_.resize(slice * ranks);
  std::copy_n(total.begin() + static_cast<std::ptrdiff_t>(first), count, send_.begin());
  world_.exchange((name + ": slices").c_str(), send_, receive_, slice);
  // Rank r's block is the sum of its subtree; the upper levels of the same tree add them.
  add_blocks(receive_, ranks, slice);
  world_.gather_blocks((name + ": gather").c_str(), std::span(receive_).first(slice), send_);
  std::copy_n(send_.begin(), count, total.begin() + static_cast<std::ptrdiff_t>(first));
}

}  // namespace langrun
