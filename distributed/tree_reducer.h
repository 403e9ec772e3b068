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

/// A sum over all lanes of vectors of one length. Per step and owned lane, in lane order: write the vector to `lane()`,
/// then `add`; then `finalize` on every rank. With the last lane the exchange between ranks begins, and it can begin
/// before that lane is complete: see `begin_from`. Forgetting a lane throws instead of training on a wrong sum.
class Reducer {
 public:
  virtual ~Reducer() = default;
  /// Where the next lane's vector goes, [elements] float32; its present values are of no meaning. The same place until
  /// `add`.
  virtual std::span<float> lane() = 0;
  /// The vector in `lane()` is complete. For the last owned lane this is collective, as begin_from(0).
  virtual void add() = 0;
  /// For the last owned lane only, collective: its floats from `first` to the end are complete (those behind an earlier
  /// `first` have been since then), and their exchange may begin. Does not wait. All ranks give the same sequence of
  /// `first`; `add` follows in any case.
  virtual void begin_from(std::size_t first) = 0;
  /// Moves exchanges in flight along without waiting; not a collective.
  virtual void progress() = 0;
  /// Collective, all ranks, once after their last `add`: waits for the exchange. The sum over all L lanes, valid until
  /// the next `lane`. Throws Error(internal) where lanes are missing.
  virtual std::span<const float> finalize() = 0;
  virtual std::size_t elements() const = 0;
};

/// The tree in host memory. Across ranks it is the communicator's sum in tree order, piece by piece from the back to
/// the front, each begun as soon as it is complete. Holds log2(L/R) + 1 vectors.
class TreeReducer final : public Reducer {
 public:
  /// `name` names the collectives.
  TreeReducer(Communicator& world, const Lanes& lanes, std::size_t elements, std::string name);
  ~TreeReducer() override;
  std::span<float> lane() override;
  void add() override;
  void begin_from(std::size_t first) override;
  void progress() override;
  std::span<const float> finalize() override;
  std::size_t elements() const override { return elements_; }

 private:
  struct Node {
    std::int64_t leaves;  // lanes summed in it
    std::vector<float> sum;
  };
  bool at_last_lane() const { return added_ == lanes_.owned - 1; }

  Communicator& world_;
  Lanes lanes_;
  std::size_t elements_;
  std::string name_;
  std::int64_t added_ = 0;                     // lanes of this step
  bool open_ = false;                          // whether leaf_ is a lane that is being written
  std::size_t begun_;                          // floats of the last lane before this one wait for begin_from
  std::vector<Node> stack_;                    // like the bits of a binary counter: leaves halve from node to node
  std::vector<std::vector<float>> spare_;      // vectors to use again, so that a step allocates nothing
  std::vector<float> leaf_;                    // the last lane's becomes the sum over all, in place
  std::vector<Communicator::Ticket> tickets_;  // sums in flight
};

}  // namespace langrun
