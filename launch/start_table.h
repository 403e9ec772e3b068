// The table at the start of a job: every setting, and what follows from them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "launch/options.h"

namespace langrun::launch {

/// A number that follows from the settings: {"weights, energy", "1,064,193", ""}.
struct Derived {
  std::string name;
  std::string value;
  std::string unit;
};

/// 1064193 to "1,064,193".
std::string with_thousands(std::int64_t value);
/// 1536 to "1.5 KiB"; below 1 KiB in bytes.
std::string bytes_text(std::uint64_t bytes);

/// The table as text: a section for each first part of a key ("langevin.steps" stands under "langevin"; keys without a
/// point come first), then the derived numbers. Settings that were given (not defaults) carry a star.
std::string start_table(const OptionTable& options, const std::vector<Derived>& derived);
/// start_table to `out`. Rank 0 alone.
void print_start_table(std::FILE* out, const OptionTable& options, const std::vector<Derived>& derived);

}  // namespace langrun::launch
