// What the points of a sweep have in common, and which of them the others take it from.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "launch/options.h"
#include "launch/sweep_keys.h"

namespace langrun::launch {

/// What decides natural checks: every swept value that is not the attack's, as text.
std::string defense_of(const SweepSettings& point);

/// The first point before this one that has something in common with it; none where there is none.
struct PointSources {
  std::optional<std::size_t> energy;      ///< the same energy and weights of it
  std::optional<std::size_t> classifier;  ///< the same classifier
  std::optional<std::size_t> defense;     ///< all but the attack
};
PointSources sources_of(const std::vector<SweepSettings>& points, std::size_t i);

/// Options that a trained run stands behind where they are automatic, as other points of the same energy found them:
/// the run may be trained on while a sweep goes on.
struct PinnedOptions {
  std::vector<std::string> words;
  bool settled = true;  ///< no such option is automatic any more: the energy itself can be taken over too
};

/// Of a point whose options are `table`. `energy`: run.cfg of the point with the same energy; `defense`: of the one
/// with the same defense, which alone says what a swept option stands for; empty where there is none.
PinnedOptions pinned_options(const SweepSettings& point, const OptionTable& table, const std::string& energy,
                             const std::string& defense);

}  // namespace langrun::launch
