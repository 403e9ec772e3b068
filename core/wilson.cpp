#include "core/wilson.h"

#include <algorithm>
#include <cmath>

namespace langrun {

ShareInterval wilson_interval(std::int64_t hits, std::int64_t count) {
  constexpr double z = 1.959963984540054;
  if (count <= 0) return {0, 0, 1};
  const auto n = static_cast<double>(count);
  const double share = static_cast<double>(hits) / n;
  const double center = (share + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {share, std::max(0.0, center - half), std::min(1.0, center + half)};
}

}  // namespace langrun
