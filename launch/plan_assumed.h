// What a plan takes for granted where a run would learn it from files that need not be there yet: how many training
// images there are, and which network a frozen generator is.
#pragma once

#include <string>
#include <vector>

#include "jobs/plan.h"
#include "launch/options.h"

namespace langrun::launch {

/// Fills in what neither the options that `table` has read nor `place` say: of a bank with one slot for each training
/// image their number, where the preset's name says of which set it is, and the generator of a hat that names none.
/// Returns a sentence on each, for whoever reads the plan. Leaves open what nothing is known of.
std::vector<std::string> assume(const OptionTable& table, ConvergentConfig& config, PlanPlace& place);
std::vector<std::string> assume(const OptionTable& table, HatConfig& config, PlanPlace& place);

/// Other jobs say everything.
template <typename Config>
std::vector<std::string> assume(const OptionTable&, Config&, PlanPlace&) {
  return {};
}

}  // namespace langrun::launch
