// langrun defend
#include "core/error.h"
#include "launch/commands.h"
#include "launch/defend_options.h"
#include "launch/defend_run.h"
#include "launch/presets.h"
#include "launch/questions.h"

namespace langrun::launch {
namespace {

constexpr const char* kSummary =
    "How well an energy's Langevin chains protect a classifier: attacks in a ball about each image, judged by averages "
    "over many chains, under several rules of success, with intervals.";

}  // namespace

int run_defend(Call& call) {
  DefendOptions options;
  OptionTable table("defend");
  bind_defend(table, options);
  table.presets(presets_of("defend"));
  table.parse(call.arguments);
  if (answer_questions(call, table, kSummary)) return 0;
  if (!options.rescore.empty()) return rescore(call, table, options);
  if (!options.json.empty())
    throw Error(ExitCode::usage, "--json goes with --rescore", "an evaluation writes RUN/result.json");
  if (!options.sweep.empty()) return run_sweep(call, table, options);
  return run_evaluation(call, table, options);
}

}  // namespace langrun::launch
