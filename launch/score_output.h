// What a score tells: a table, JSON, a picture of neighbours.
#pragma once

#include <filesystem>
#include <string>

#include "jobs/score.h"

namespace langrun::launch {

/// The lines that are printed.
std::string score_table(const ScoreResult& result);

/// The same and more, as JSON: everything that a figure needs to be repeated.
std::string score_json(const ScoreConfig& config, const ScoreResult& result);

/// A PNG of A's images over their nearest in B, in pixels and, where there is a net, in features. Throws
/// Error(storage) where it cannot be written.
void draw_neighbours(const ScoreResult& result, const std::filesystem::path& out);

}  // namespace langrun::launch
