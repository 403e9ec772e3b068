// sweep.csv: the points of a sweep as one table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace langrun::launch {

/// A line for each of `points` ({values, result} as in sweep.json): the swept `keys`, natural and robust accuracy, and
/// every rule that any point is scored by, with its interval; a cell is empty where a point has none.
std::string sweep_table(const nlohmann::ordered_json& points, const std::vector<std::string>& keys);

}  // namespace langrun::launch
