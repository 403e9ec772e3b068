#include "jobs/fact.h"

#include <fmt/format.h>

#include <array>

namespace langrun {

std::string with_thousands(std::int64_t value) {
  auto text = std::to_string(value);
  const std::size_t digits_from = value < 0 ? 1 : 0;
  for (auto at = text.size(); at > digits_from + 3;) text.insert(at -= 3, 1, ',');
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace langrun
