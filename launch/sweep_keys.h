// What `defend --sweep` asks for: keys, their values, and the points of all combinations.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "launch/options.h"

namespace langrun::launch {

/// One word of --sweep. Several keys are changed together: attack.norm:attack.eps=linf:8,l2:0.5 are two values.
struct SweptKeys {
  std::vector<std::string> keys;
  std::vector<std::vector<std::string>> values;  ///< each as long as `keys`
};

/// Of "key=a,b,c key:key=a:b,c:d". Throws Error(usage) for what is no such list, a key that `table` does not have or
/// that no sweep may change, and a key that comes twice.
std::vector<SweptKeys> swept_keys(const std::string& text, const OptionTable& table);

/// One evaluation of a sweep: key and value of each swept key, in their order.
using SweepSettings = std::vector<std::pair<std::string, std::string>>;

/// Every combination; the last word's values change first.
std::vector<SweepSettings> combinations(const std::vector<SweptKeys>& words);

}  // namespace langrun::launch
