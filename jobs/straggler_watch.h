// Ranks that are slower than the others, step after step: a host that throttles, a core that is shared, a bad GPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace langrun {

/// A rank that has been slow all through the last steps.
struct Straggler {
  std::size_t rank = 0;
  std::string phase;  ///< in which it loses most: "sampling" or "updates"
  double factor = 1;  ///< its time by the median of the ranks, over the last steps
};

class StragglerWatch {
 public:
  /// `factor`: by how much a rank's own work is to be slower than the median of all ranks'; 0: nothing is looked for.
  /// `steps`: in how many steps in a row, which keeps a checkpoint or a page of swap from counting.
  StragglerWatch(double factor, std::int64_t steps) : factor_(factor), steps_(steps) {}

  /// Seconds of one rank's own work in one step, without what it waited for others.
  struct Work {
    double sample = 0, update = 0;
  };
  /// A step's work by rank. Gives those that are named now: once when they have been slow for `steps` steps, and again
  /// after ten times as many where they still are.
  std::vector<Straggler> see(const std::vector<Work>& ranks);

 private:
  struct Slow {
    std::int64_t steps = 0;  ///< in a row
    Work sum;                ///< over them
  };

  double factor_;
  std::int64_t steps_;
  std::vector<Slow> slow_;
  std::vector<Work> medians_;  ///< by rank, summed over its slow steps
};

}  // namespace langrun
