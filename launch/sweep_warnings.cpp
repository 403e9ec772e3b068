#include "launch/sweep_warnings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace langrun::launch {
namespace {

/// Differences of shares that are not spoken of.
constexpr double kSlack = 0.02;
/// Accuracy that is about nothing may stay there.
constexpr double kFloor = 0.05;

/// One accuracy over a growing radius.
struct EpsCurve {
  std::vector<double> eps, accuracy;
  std::string where;  ///< " (attack.norm l2)" where there are other keys
};

/// Keys that change together with `key`, itself included, but for the norm: radii of two norms are no curve.
std::vector<std::string> tied_to(const std::string& key, const std::vector<SweptKeys>& words) {
  std::vector<std::string> tied{key};
  for (const auto& word : words)
    if (std::find(word.keys.begin(), word.keys.end(), key) != word.keys.end())
      for (const auto& other : word.keys)
        if (other != key && other != "attack.norm") tied.push_back(other);
  return tied;
}

/// Points that are alike but for `keys`, by what they have in common.
std::map<std::string, std::vector<const SweepPoint*>> alike_but(const std::vector<SweepPoint>& points,
                                                                const std::vector<std::string>& keys) {
  std::map<std::string, std::vector<const SweepPoint*>> groups;
  for (const auto& point : points) {
    std::string common;
    for (const auto& [key, value] : point.values)
      if (std::find(keys.begin(), keys.end(), key) == keys.end())
        common += fmt::format("{}{} {}", common.empty() ? "" : ", ", key, value);
    groups[common.empty() ? "" : fmt::format(" ({})", common)].push_back(&point);
  }
  return groups;
}

std::vector<EpsCurve> eps_curves(const std::vector<SweepPoint>& points, const std::vector<SweptKeys>& words,
                                 const std::string& rule) {
  std::vector<EpsCurve> curves;
  if (!points.front().values.contains("attack.eps")) return curves;
  for (auto& [where, group] : alike_but(points, tied_to("attack.eps", words))) {
    std::vector<std::pair<double, double>> pairs;
    for (const auto* point : group)
      pairs.emplace_back(std::stod(point->values.at("attack.eps")), point->shares.at(rule));
    std::sort(pairs.begin(), pairs.end());
    EpsCurve curve{{}, {}, where};
    for (const auto& [eps, accuracy] : pairs) {
      curve.eps.push_back(eps);
      curve.accuracy.push_back(accuracy);
    }
    curves.push_back(std::move(curve));
  }
  return curves;
}

void warn_of_rise(const EpsCurve& curve, std::vector<std::string>& warnings) {
  for (std::size_t i = 1; i < curve.eps.size(); ++i) {
    // Against the best of all smaller radii.
    const auto lowest =
        std::min_element(curve.accuracy.begin(), curve.accuracy.begin() + static_cast<std::ptrdiff_t>(i));
    if (curve.accuracy[i] <= *lowest + kSlack) continue;
    warnings.push_back(
        fmt::format("accuracy rises with eps{}: {:.3f} at {}, {:.3f} at {}: the attack is weaker than it "
                    "could be",
                    curve.where, *lowest, curve.eps[static_cast<std::size_t>(lowest - curve.accuracy.begin())],
                    curve.accuracy[i], curve.eps[i]));
  }
}

/// The end of a curve that stays where it is while eps at least doubles.
void warn_of_flat(const EpsCurve& curve, std::vector<std::string>& warnings) {
  const auto last = curve.accuracy.back();
  auto first = curve.eps.size() - 1;
  while (first > 0 && std::abs(curve.accuracy[first - 1] - last) < kSlack) --first;
  if (last <= kFloor || curve.eps.back() < 2 * curve.eps[first]) return;
  warnings.push_back(
      fmt::format("accuracy does not fall with eps{}: {:.3f} at {}, {:.3f} still at {}: the attack finds nothing "
                  "there (gradient masking), or these radii are too small to matter",
                  curve.where, curve.accuracy[first], curve.eps[first], last, curve.eps.back()));
}

void warn_of_smooth(const std::vector<SweepPoint>& points, const std::vector<SweptKeys>& words, const std::string& rule,
                    std::vector<std::string>& warnings) {
  if (!points.front().values.contains("attack.kind")) return;
  for (const auto& [where, group] : alike_but(points, tied_to("attack.kind", words)))
    for (const auto* plain : group)
      for (const auto* smooth : group) {
        if (plain->values.at("attack.kind") != "bpda-eot" || smooth->values.at("attack.kind") != "full-smooth")
          continue;
        const auto one = plain->shares.at(rule), other = smooth->shares.at(rule);
        if (other > one + kSlack)
          warnings.push_back(
              fmt::format("full-smooth is weaker than bpda-eot{}: {:.3f} against {:.3f}: its sharpness does "
                          "not suit this energy",
                          where, other, one));
      }
}

}  // namespace

std::string headline_rule(const std::vector<SweepPoint>& points) {
  for (const char* rule : {"verified_any_step", "final_step", "any_step", "majority_vote", "resubmission"})
    if (!points.empty() &&
        std::all_of(points.begin(), points.end(), [&](const SweepPoint& point) { return point.shares.contains(rule); }))
      return rule;
  return "";
}

std::vector<std::string> sweep_warnings(const std::vector<SweepPoint>& points, const std::vector<SweptKeys>& words) {
  std::vector<std::string> warnings;
  const auto rule = headline_rule(points);
  if (rule.empty()) return warnings;
  for (const auto& curve : eps_curves(points, words, rule)) {
    warn_of_rise(curve, warnings);
    warn_of_flat(curve, warnings);
  }
  warn_of_smooth(points, words, rule, warnings);
  return warnings;
}

}  // namespace langrun::launch
