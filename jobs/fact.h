// Numbers that follow from a configuration, for the start table.
#pragma once

#include <cstdint>
#include <string>

namespace langrun {

/// {"energy weights", "1,064,193"}
struct Fact {
  std::string name, value;
};

/// 1064193 to "1,064,193".
std::string with_thousands(std::int64_t value);
/// 1536 to "1.5 KiB"; below 1 KiB in bytes.
std::string bytes_text(std::uint64_t bytes);

}  // namespace langrun
