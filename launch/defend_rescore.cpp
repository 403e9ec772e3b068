// `defend --rescore DIR`: other rules on the same records.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

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

/// Facts about the evaluation that scoring again does not change.
std::vector<std::string> kept_notes(const fs::path& run) {
  const auto path = run / "result.json";
  if (!fs::exists(path)) return {};
  try {
    return nlohmann::json::parse(read_text(path)).value("notes", std::vector<std::string>());
  } catch (const nlohmann::json::exception&) {
    return {};  // figures come from the records
  }
}

void rescore_here(const DefendOptions& asked) {
  const fs::path run = asked.rescore;
  if (!asked.json.empty() && fs::exists(asked.json))
    throw Error(ExitCode::usage, fmt::format("{} exists already", asked.json),
                "nothing is written over; choose another name");
  DefendOptions options;
  const auto file = read_folder(run, options);
  const auto rules = rules_from(asked.protocols == "auto" ? options.protocols : asked.protocols);
  const auto scoring = scoring_of(options.evaluation, static_cast<std::int64_t>(file.classes.size()));
  if (scoring.restarts == 0 && asked.protocols != "auto")
    throw Error(ExitCode::usage,
                fmt::format("--protocols {} was given, {} was made without an attack (--attack.kind none)",
                            asked.protocols, run.string()),
                "no rule can be scored: leave --protocols out for the natural accuracy, or run an attack");
  const auto notes = kept_notes(run);
  const auto result =
      score_evaluation(file.records, rules, scoring, options.evaluation.seed, options.energy.run != "none");
  print_result(result, notes);
  if (asked.json.empty()) return;
  write_durably(asked.json, result_json(run, result, file.classes, notes));
  fmt::print("figures: {}\n", asked.json);
}

}  // namespace

int rescore(Call& call, const OptionTable& table, const DefendOptions& options) {
  constexpr const char* kHint = "it scores what was recorded: --rescore DIR [--protocols LIST] [--json FILE]";
  if (!table.preset().empty())
    throw Error(ExitCode::usage, fmt::format("--preset {} does not go with --rescore", table.preset()), kHint);
  for (const auto& option : table.options())
    if (table.asked(option.key) && option.key != "rescore" && option.key != "protocols" && option.key != "json")
      throw Error(ExitCode::usage, fmt::format("--{} does not go with --rescore", option.key), kHint);
  agree(call.world, "score again", [&] {
    if (call.world.rank() == 0) rescore_here(options);
  });
  return 0;
}

}  // namespace langrun::launch
