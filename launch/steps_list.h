// Lists of numbers on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace langrun::launch {

/// "1,10,100" as whole numbers that rise strictly, the first at least 0. Throws Error(usage) for anything else; `key`
/// names the option.
std::vector<std::int64_t> rising_steps(const std::string& text, const std::string& key);
/// "0.1,0.2" as positive finite numbers that rise strictly. Throws Error(usage).
std::vector<double> rising_numbers(const std::string& text, const std::string& key);

}  // namespace langrun::launch
