// Sums over lanes in a fixed order (design invariant 3): a balanced binary tree whose leaves are the lanes. A rank's
// lanes are one subtree, so one partial sum a rank goes out; the ranks' sums are added by the rest of the tree.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/lanes.h"

namespace langrun {

/// A sum over all lanes of vectors of one length. Use per step: `add` once for each lane this rank owns, in lane
/// order, then `finalize` on every rank. Forgetting either throws instead of training on a wrong sum.
class Reducer {
 public:
  virtual ~Reducer() = default;
  /// One lane's vector [elements] float32; copied.
  virtual void add(std::span<const float> lane) = 0;
  /// Collective, all ranks, once after their last `add`. The sum over all L lanes; valid until the next `add`.
  /// `name` names the collectives. Throws Error(internal) where lanes are missing, Error(rank) on a timeout.
  virtual std::span<const float> finalize(const std::string& name) = 0;
  virtual std::size_t elements() const = 0;
};

/// The tree in host memory. Across ranks: exchange slices, add each in tree order, gather: 2 (R-1)/R times the vector
/// leaves a rank, the volume of a ring all-reduce. Holds log2(L/R) + 1 vectors.
class TreeReducer final : public Reducer {
 public:
  TreeReducer(Communicator& world, const Lanes& lanes, std::size_t elements);
  void add(std::span<const float> lane) override;
  std::span<const float> finalize(const std::string& name) override;
  std::size_t elements() const override { return elements_; }

 private:
  struct Node {
    std::int64_t leaves;  // lanes summed in it
    std::vector<float> sum;
  };
  void reduce_bucket(const std::string& name, std::size_t first, std::size_t count, std::vector<float>& total);

  Communicator& world_;
  Lanes lanes_;
  std::size_t elements_;
  std::vector<Node> stack_;                // like the bits of a binary counter: leaves halve from node to node
  std::vector<std::vector<float>> spare_;  // vectors to use again, so that a step allocates nothing
  std::vector<float> total_, send_, receive_, slice_;
};

}  // namespace langrun
