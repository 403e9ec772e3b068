// langrun run status | verify | relane | diff
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/run_diff.h"
#include "launch/run_relane.h"
#include "launch/run_status.h"
#include "launch/training_command.h"
#include "launch/verify_folder.h"
#include "launch/verify_training.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

void require_run(const fs::path& run) {
  if (!fs::exists(run / "run.cfg"))
    throw Error(ExitCode::input, fmt::format("{} is not the folder of a run: it has no run.cfg", run.string()),
                "give the folder named by --run");
}

/// The last line of metrics.jsonl that is whole, or null.
nlohmann::json last_record(const fs::path& run) {
  require_regular(run / "metrics.jsonl");
  std::ifstream in(run / "metrics.jsonl");
  nlohmann::json last;
  for (std::string line; std::getline(in, line);) {
    auto record = nlohmann::json::parse(line, nullptr, false);
    if (record.is_object() && record.contains("step") && record["step"].is_number_integer()) last = std::move(record);
  }
  return last;
}

/// A figure of a record as text: what is not finite is null there.
std::string figure(const nlohmann::json& record, const std::string& key) {
  if (!record.contains(key) || !record[key].is_number()) return "not finite";
  return fmt::format("{}", record[key].get<double>());
}
double rate(const nlohmann::json& record) {
  const std::string key = "image_steps_per_second";
  return record.contains(key) && record[key].is_number() ? record[key].get<double>() : 0;
}

std::string setting(const std::string& configuration, const std::string& key) {
  const auto at = ("\n" + configuration).find("\n" + key + " = ");
  if (at == std::string::npos) return "?";
  const auto begin = at + key.size() + 3;
  return configuration.substr(begin, configuration.find('\n', begin) - begin);
}

/// Of whatever is no training.
void print_other(const std::string& dir, const RunStatus& status) {
  fmt::print("run          {}\n", dir);
  if (status.images)
    fmt::print("images       {}{}\n", *status.images,
               status.images_in_all ? fmt::format(" of {}", *status.images_in_all) : "");
  if (status.step && status.steps) fmt::print("steps        {} of {}\n", *status.step, *status.steps);
  fmt::print("state        {}\n", status.done ? "done" : "unfinished");
}

}  // namespace

int run_status(Call& call) {
  std::string dir;
  bool json = false;
  OptionTable table("run status");
  table.positional("DIR", dir, "folder of a run, or of a sweep");
  table.flag("json", json, "one JSON object on one line, for scripts; checkpoints by name, their files are not read");
  table.parse(call.arguments);
  if (answer_questions(call, table, "How far a run is, and which checkpoints it has.")) return 0;
  if (call.world.rank() != 0) return 0;
  const auto status = status_of(dir);
  if (json) {
    fmt::print("{}\n", status_json(dir, status));
    return 0;
  }
  if (status.kind != "training") {
    print_other(dir, status);
    return 0;
  }
  const auto configuration = read_text(fs::path(dir) / "run.cfg", kMostConfiguration);
  const auto last = last_record(dir);
  const auto finished = last.is_null() ? 0 : last.at("step").get<std::int64_t>();
  fmt::print("run          {}\nsteps        {} of {}\n", dir, finished, setting(configuration, "steps"));
  if (last.contains("loss"))
    fmt::print("last step    loss {}{}, {:.0f} images/s\n", figure(last, "loss"),
               last.contains("accuracy") ? ", accuracy " + figure(last, "accuracy") : "", rate(last));
  else if (!last.is_null())
    fmt::print("last step    energy difference {}, gradient magnitude {}, {:.0f} image-steps/s\n",
               figure(last, "energy_difference"), figure(last, "gradient_magnitude"), rate(last));
  const auto home = checkpoint_home(dir);
  std::optional<std::int64_t> good;
  for (const auto step : checkpoint_steps(home)) {
    const auto problems = problems_of(home / checkpoint_name(step));
    fmt::print("checkpoint   {}  {}\n", checkpoint_name(step),
               problems.empty() ? "good" : "damaged: " + problems.front());
    if (problems.empty()) good = step;
  }
  fmt::print("state        {}, {}\n", status.done ? "done" : "unfinished",
             good ? fmt::format("a resume goes on from step {}", *good) : "without a good checkpoint to go on from");
  return 0;
}

int run_verify(Call& call) {
  std::string dir;
  OptionTable table("run verify");
  table.positional("DIR", dir, "folder of a run");
  table.parse(call.arguments);
  if (answer_questions(call, table,
                       "Checks every file of every checkpoint against its manifest, and the run's records; of an "
                       "evaluation or a sampling, all that a resume and a reader rely on."))
    return 0;
  if (call.world.rank() != 0) return 0;
  if (has_no_checkpoints(dir)) {
    verify_folder(dir);
    return 0;
  }
  require_run(dir);
  verify_training(dir);
  return 0;
}

int run_relane(Call& call) {
  std::string from, to;
  std::int64_t lanes = 0;
  OptionTable table("run relane");
  table.positional("DIR", from, "folder of a training run; it is only read");
  table.positional("OUT", to, "folder of the run to make; must not be there");
  table.integer("lanes", lanes, "lanes", "how many lanes OUT has: a power of two that divides the batch", {0, 4096});
  table.parse(call.arguments);
  if (answer_questions(call, table, "Makes a run with another number of lanes that goes on from DIR's newest checkpoint."))
    return 0;
  if (call.world.rank() != 0) return 0;
  require_run(from);
  if (lanes == 0) throw Error(ExitCode::usage, "--lanes is missing", "say how many lanes OUT is to have");
  const auto made = relane(from, to, lanes, call.command_line);
  fmt::print("{}: {} lanes in place of {}, {} bank files, goes on from step {}\n", to, lanes, made.lanes_then,
             made.bank_files, made.step);
  fmt::print("note: from here on its bits are not those that {} would have: what is drawn together depends on the lanes\n",
             from);
  return 0;
}

int run_diff(Call& call) {
  std::string a, b;
  OptionTable table("run diff");
  table.positional("A", a, "folder of a run");
  table.positional("B", b, "folder of another");
  table.parse(call.arguments);
  if (answer_questions(call, table, "Compares two runs bit by bit: metrics less timers, weights, optimiser, banks."))
    return 0;
  if (call.world.rank() != 0) return 0;
  const auto result = compare_runs(a, b);
  if (result.difference) {
    fmt::print("different: {}\n", *result.difference);
    return 1;
  }
  fmt::print("same bits: {} lines of metrics, {} datasets\n", result.metrics_lines, result.datasets);
  return 0;
}

}  // namespace langrun::launch
