// Where the points of a sweep say that an attack is weaker than it could be.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launch/sweep_keys.h"

namespace langrun::launch {

/// One point, as a warning looks at it.
struct SweepPoint {
  std::map<std::string, std::string> values;  ///< of the swept keys
  std::map<std::string, double> shares;       ///< by rule of success
};

/// The first of verified_any_step, final_step, any_step, majority_vote and resubmission that all points are scored by;
/// empty where there is none.
std::string headline_rule(const std::vector<SweepPoint>& points);

/// By the headline rule and between points that are alike but for one key, or for keys that change together with it:
/// accuracy that rises with eps or stays where it is, full-smooth that is weaker than bpda-eot.
std::vector<std::string> sweep_warnings(const std::vector<SweepPoint>& points, const std::vector<SweptKeys>& words);

}  // namespace langrun::launch
