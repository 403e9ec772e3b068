#include "launch/defend_sweep_share.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "launch/automatic_options.h"

namespace langrun::launch {
namespace {

bool of_energy(const std::string& key) {
  return key == "energy" || key == "energy.size" || key == "weights" || key == "at";
}

bool of_classifier(const std::string& key) { return key == "classifier" || key.starts_with("classifier."); }

bool of_defense(const std::string& key) { return !key.starts_with("attack."); }

/// Swept values whose key `belongs`, as text.
std::string values_of(const SweepSettings& point, const std::function<bool(const std::string&)>& belongs) {
  std::string text;
  for (const auto& [key, value] : point)
    if (belongs(key)) text += fmt::format("{}={} ", key, value);
  return text;
}

std::optional<std::size_t> first_like(const std::vector<SweepSettings>& points, std::size_t i,
                                      const std::function<bool(const std::string&)>& belongs) {
  const auto own = values_of(points[i], belongs);
  for (std::size_t j = 0; j < i; ++j)
    if (values_of(points[j], belongs) == own) return j;
  return std::nullopt;
}

}  // namespace

std::string defense_of(const SweepSettings& point) { return values_of(point, of_defense); }

PointSources sources_of(const std::vector<SweepSettings>& points, std::size_t i) {
  return {first_like(points, i, of_energy), first_like(points, i, of_classifier), first_like(points, i, of_defense)};
}

PinnedOptions pinned_options(const SweepSettings& point, const OptionTable& table, const std::string& energy,
                             const std::string& defense) {
  PinnedOptions pinned;
  pinned.settled = !energy.empty();
  for (const auto& [name, automatic] : kRunSays) {
    const std::string key = name;
    if (table.option(key).get() != automatic) continue;
    const bool swept = std::any_of(point.begin(), point.end(), [&](const auto& one) { return one.first == key; });
    const auto& from = swept ? defense : energy;
    const auto found = configured(from, key, "run.cfg of a point before");
    if (found) pinned.words.insert(pinned.words.end(), {"--" + key, *found});
    pinned.settled = pinned.settled && found;
  }
  return pinned;
}

}  // namespace langrun::launch
