#include "launch/defend_sweep_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace langrun::launch {
namespace {

using Json = nlohmann::ordered_json;

/// Of all points, in the order in which they come.
std::vector<std::string> rules_of(const Json& points) {
  std::vector<std::string> rules;
  for (const auto& point : points)
    for (const auto& rule : point["result"]["protocols"].items())
      if (std::find(rules.begin(), rules.end(), rule.key()) == rules.end()) rules.push_back(rule.key());
  return rules;
}

std::string line_of(const Json& point, const std::vector<std::string>& keys, const std::vector<std::string>& rules) {
  std::vector<std::string> cells;
  for (const auto& key : keys) cells.push_back(point["values"][key].get<std::string>());
  const auto& result = point["result"];
  cells.push_back(result["natural_accuracy"].dump());
  cells.push_back(result["robust_accuracy"].is_null() ? "" : result["robust_accuracy"].dump());
  const auto& protocols = result["protocols"];
  for (const auto& rule : rules)
    for (const char* part : {"value", "low", "high"})
      cells.push_back(protocols.contains(rule) ? protocols[rule][part].dump() : "");
  return fmt::format("{}\n", fmt::join(cells, ","));
}

}  // namespace

std::string sweep_table(const Json& points, const std::vector<std::string>& keys) {
  const auto rules = rules_of(points);
  auto text = fmt::format("{},natural,robust", fmt::join(keys, ","));
  for (const auto& rule : rules) text += fmt::format(",{0},{0}_low,{0}_high", rule);
  text += "\n";
  for (const auto& point : points) text += line_of(point, keys, rules);
  return text;
}

}  // namespace langrun::launch
