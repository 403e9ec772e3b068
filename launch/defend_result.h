// result.json of an evaluation, and what is printed of it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "jobs/evaluation.h"
#include "jobs/evaluation_result.h"

namespace langrun::launch {

/// What one start cost: summed over ranks.
struct EvaluationCost {
  double seconds = 0;
  std::int64_t ranks = 1;
  EvaluationCounts counts;
};

/// Adds a start's cost to RUN/cost.json. Rank 0 alone. Throws Error(storage).
void add_cost(const std::filesystem::path& run, const EvaluationCost& cost);

/// The text of result.json: figures of `result`, with the cost of all starts of RUN. `notes` are facts about the
/// evaluation that are no warning.
std::string result_json(const std::filesystem::path& run, const EvaluationResult& result,
                        const std::vector<std::string>& classes, const std::vector<std::string>& notes);

/// Natural accuracy, each rule with its intervals, warnings: some lines.
void print_result(const EvaluationResult& result, const std::vector<std::string>& notes);

}  // namespace langrun::launch
