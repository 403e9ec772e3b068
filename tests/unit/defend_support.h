// What the tests of defend's options share.
#pragma once

#include <string>
#include <vector>

#include "launch/defend_options.h"
#include "launch/presets.h"

namespace langrun::testing {

/// Options of a call.
struct Asked {
  launch::DefendOptions options;
  launch::OptionTable table{"defend"};

  explicit Asked(const std::vector<std::string>& words) {
    bind_defend(table, options);
    table.presets(launch::presets_of("defend"));
    table.parse(words);
  }
  AttackConfig& attack() { return options.evaluation.attack; }
  void check() { check_defend(options, table); }
};

}  // namespace langrun::testing
