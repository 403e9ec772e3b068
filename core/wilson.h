// Intervals for shares (Wilson 1927).
#pragma once

#include <cstdint>

namespace langrun {

/// A share and its two-sided 95 % interval over the things counted.
struct ShareInterval {
  double value = 0, low = 0, high = 0;
};
/// `hits` of `count`; of none at all the interval is [0, 1] about 0.
ShareInterval wilson_interval(std::int64_t hits, std::int64_t count);

}  // namespace langrun
