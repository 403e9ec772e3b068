// `defend --rescore DIR`: other rules on the same records.
#include <fmt/format.h>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/evaluation_file.h"
#include "jobs/evaluation_result.h"
#include "launch/defend_result.h"
#include "launch/defend_run.h"
#include "launch/evaluation_head.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

/// The options that a folder's evaluation had, and its records, which have to be of these options.
EvaluationFile read_folder(const fs::path& run, DefendOptions& options) {
  const auto cfg = run / "run.cfg";
  if (!fs::exists(cfg) || !fs::exists(run / "records.h5"))
    throw Error(ExitCode::input, fmt::format("{} is not the folder of a finished evaluation", run.string()),
                "it wants run.cfg and records.h5; an evaluation that was stopped goes on with --resume");
  OptionTable table("defend");
  bind_defend(table, options);
  const auto text = read_text(cfg);
  table.read_config(text, cfg.string());
  auto file = read_evaluation(run / "records.h5");
  check_same_evaluation(file.configuration, text, run / "records.h5");
  return file;
}

void rescore_here(const DefendOptions& asked) {
  const fs::path run = asked.rescore;
  if (!asked.json.empty() && fs::exists(asked.json))
    throw Error(ExitCode::usage, fmt::format("{} exists already", asked.json), "nothing is written over; choose another name");
  DefendOptions options;
  const auto file = read_folder(run, options);
  const auto rules = rules_from(asked.protocols == "auto" ? options.protocols : asked.protocols);
  const auto scoring = scoring_of(options.evaluation, static_cast<std::int64_t>(file.classes.size()));
  const auto result =
      score_evaluation(file.records, rules, scoring, options.evaluation.seed, options.energy.run != "none");
  print_result(result, {});
  if (asked.json.empty()) return;
  write_durably(asked.json, result_json(run, result, file.classes, {}));
  fmt::print("figures: {}\n", asked.json);
}

}  // namespace

int rescore(Call& call, const OptionTable& table, const DefendOptions& options) {
  for (const auto& option : table.options())
    if (table.given(option.key) && option.key != "rescore" && option.key != "protocols" && option.key != "json")
      throw Error(ExitCode::usage, fmt::format("--{} does not go with --rescore", option.key),
                  "it scores what was recorded: --rescore DIR [--protocols LIST] [--json FILE]");
  agree(call.world, "score again", [&] {
    if (call.world.rank() == 0) rescore_here(options);
  });
  return 0;
}

}  // namespace langrun::launch
