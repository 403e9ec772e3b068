// How fast messages go between two ranks, measured so that a partner which does not answer costs a time limit and no
// more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace langrun {

/// What two ranks saw of the way between them. The same pair measures it together; the lower rank's clock counts.
struct Link {
  double latency = 0;    ///< seconds, median over pings of half of the way there and back
  double bandwidth = 0;  ///< bytes a second one way, of the fastest of a few large messages
};

/// Messages between pairs on a communicator of their own. Every call is made by both of a pair and waits for no other
/// rank; a call that gave up leaves its messages behind, and later calls do not meet them.
class LinkProbe {
 public:
  /// Collective, all ranks, while an MpiSession is alive. `limit`: seconds that a call waits for its partner.
  /// Throws Error(rank) where the ranks are not all here within ten of these.
  explicit LinkProbe(double limit);
  ~LinkProbe();
  LinkProbe(const LinkProbe&) = delete;
  LinkProbe& operator=(const LinkProbe&) = delete;

  /// With `partner`, which calls it with this rank. `bytes`: of a large message. Nothing where the partner did not
  /// answer in time. Throws Error(rank) where MPI fails.
  std::optional<Link> measure(int partner, std::size_t bytes);
  /// Seconds that the partner's clock is ahead of this one's, as of the quickest of a few pings, on the lower rank of
  /// the two; 0 on the other. Nothing, and throws, as above.
  std::optional<double> clock_ahead(int partner);
  /// Gives the partner `own` and returns what it gave, of at most kMostSwapped bytes. Nothing, and throws, as above.
  std::optional<std::vector<std::byte>> swap(int partner, std::span<const std::byte> own);
  static constexpr std::size_t kMostSwapped = 1 << 16;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace langrun
