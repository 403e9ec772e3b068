#include "launch/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/sample_folder.h"
#include "launch/equal_ranks.h"
#include "launch/metrics.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

// Leftovers of a start that died before its run.cfg was written are nobody's work: the record of the start, the empty
// folder of checkpoints or states and the link to it, files half written.
bool is_leftover(const fs::path& path) {
  std::error_code failed;
  if (path.extension() == ".partial" || path.filename() == "provenance.json") return true;
  const auto name = path.stem();
  if (name != kCheckpointHome && name != kSampleState) return false;
  if (fs::is_symlink(path, failed)) return true;
  if (!fs::is_directory(path, failed)) return false;
  for (const auto& entry : fs::directory_iterator(path, failed))
    if (entry.path().extension() != ".partial") return false;
  return !failed;
}

bool holds_nothing(const fs::path& run) {
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(run, failed))
    if (!is_leftover(entry.path())) return false;
  return !failed;
}

void refuse_strangers(const fs::path& run, bool resume) {
  std::error_code none;
  if (!fs::exists(run, none)) return;
  if (!fs::is_directory(run, none))
    throw Error(ExitCode::usage, fmt::format("--run {} is a file, not a folder", run.string()), "choose another --run");
  if (holds_nothing(run)) return;
  if (!resume)
    throw Error(ExitCode::usage, fmt::format("run folder {} is in use", run.string()),
                "add --resume to go on with it, or choose another --run");
  if (!fs::exists(run / "run.cfg"))
    throw Error(ExitCode::usage,
                fmt::format("{} holds files but no run.cfg: it is not the folder of a run", run.string()),
                "choose another --run");
}

// A link that leads nowhere is what is left where checkpoints were lost: a run is not to begin anew over that.
void refuse_lost_checkpoints(const fs::path& home) {
  std::error_code ignored;
  if (!fs::is_symlink(home / "latest", ignored)) return;
  throw Error(ExitCode::storage,
              fmt::format("no good checkpoint left in {}: `latest` is {}, which is gone", home.string(),
                          fs::read_symlink(home / "latest", ignored).string()),
              "bring it back from a copy, or begin in another folder; without `latest` the run begins anew here");
}

// A link that leads nowhere, and no folder to which it could lead: the state itself was lost.
void refuse_lost_home(const fs::path& run) {
  for (const auto* name : {kCheckpointHome, kSampleState}) {
    std::error_code ignored;
    const auto link = run / name;
    if (!fs::is_symlink(link, ignored) || newest_generation_folder(run, name).generation > 0) continue;
    throw Error(
        ExitCode::storage,
        fmt::format("no good checkpoint left in {}: `{}` is {}, which is gone", run.string(), name,
                    fs::read_symlink(link, ignored).string()),
        fmt::format("bring it back from a copy, or begin in another folder; without `{}` the run begins anew here",
                    name));
  }
}

// Copied with its links followed, a run has its state twice, and the links of its next checkpoints could not be made.
void refuse_followed_links(const fs::path& run) {
  std::vector<fs::path> links{checkpoint_home(run) / "latest"};
  for (const auto* name : {kCheckpointHome, kSampleState})
    if (newest_generation_folder(run, name).generation > 0) links.push_back(run / name);
  for (const auto& link : links) {
    std::error_code none;
    if (fs::is_symlink(link, none) || !fs::is_directory(link, none)) continue;
    throw Error(
        ExitCode::storage,
        fmt::format("{} is a folder, where langrun has a link: the run was copied with its links followed",
                    link.string()),
        "what is in it stands in the folder beside it too: remove it, or copy the run again, with its links (cp -a)");
  }
}

// What rank 0 saw, as one text for all ranks: the shared folder may look older from another host.
std::string look(const fs::path& run, bool resume) {
  refuse_strangers(run, resume);
  nlohmann::json seen{{"fresh", true},       {"from_step", 0},
                      {"configuration", ""}, {"checkpoint_configuration", ""},
                      {"images", ""},        {"damaged", nlohmann::json::array()}};
  // Before anything is read, so that whatever changes it afterwards is seen to have come later.
  const auto starts = std::max(look_for_starts(run, kCheckpointHome), look_for_starts(run, kSampleState),
                               [](const auto& a, const auto& b) { return a.generation < b.generation; });
  if (fs::exists(run / "run.cfg")) {
    refuse_lost_home(run);
    refuse_followed_links(run);
    std::vector<std::string> damaged;
    const auto home = checkpoint_home(run);
    const auto step = newest_good_checkpoint(home, damaged);
    if (!step) refuse_lost_checkpoints(home);
    const auto manifest = step ? read_manifest(home / checkpoint_name(*step)) : Manifest();
    seen = {{"fresh", false},
            {"from_step", step.value_or(0)},
            {"configuration", read_text(run / "run.cfg", kMostConfiguration)},
            {"checkpoint_configuration", manifest.configuration},
            {"images", manifest.images},
            {"damaged", damaged}};
  }
  seen["looked"] = starts.time;
  seen["generation"] = starts.generation;
  // run.cfg is UTF-8 where we wrote it; elsewhere its lines will be refused one by one.
  return seen.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// What was seen before the home was taken may be out of date: an older start that is alive publishes checkpoints and
// retires others until then.
std::int64_t step_to_go_on_from(const fs::path& home, const RunState& seen) {
  const auto steps = checkpoint_steps(home);
  std::int64_t found = seen.from_step;
  std::vector<std::string> damaged;
  if ((steps.empty() ? 0 : steps.back()) != seen.from_step) found = newest_good_checkpoint(home, damaged).value_or(0);
  if ((found > 0) == (seen.from_step > 0)) return found;
  throw Error(ExitCode::storage,
              fmt::format("{}: {} when this start looked, and {} now: another start is at work on the run",
                          home.string(), seen.from_step > 0 ? fmt::format("step {}", seen.from_step) : "no checkpoint",
                          found > 0 ? fmt::format("step {}", found) : "no checkpoint"),
              "end the other start, and start again with --resume");
}

// "steps, checkpoint.*": a section whose keys are all changeable is named as a whole.
std::string changeable_keys(const OptionTable& table) {
  const auto section = [](const std::string& key) { return key.substr(0, key.find('.') + 1); };
  std::set<std::string> mixed{""}, named;
  for (const auto& option : table.options())
    if (option.keep == Keep::recorded) mixed.insert(section(option.key));
  std::vector<std::string> keys;
  for (const auto& option : table.options()) {
    if (option.keep != Keep::changeable) continue;
    const auto name = mixed.contains(section(option.key)) ? option.key : section(option.key) + "*";
    if (named.insert(name).second) keys.push_back(name);
  }
  return fmt::format("{}", fmt::join(keys, ", "));
}

void refuse_other_job(const std::string& configuration, const OptionTable& table, const fs::path& run) {
  const auto job = configured(configuration, "job", (run / "run.cfg").string()).value_or("");
  for (const auto& option : table.options())
    if (option.key == "job" && !job.empty() && option.get() != job)
      throw Error(ExitCode::usage, fmt::format("{} is a run of {}, not of {}", run.string(), job, option.get()),
                  fmt::format("langrun {} --run {} --resume goes on with it", job, run.string()));
}

void refuse_contradictions(const OptionTable& given, const OptionTable& effective, const fs::path& run) {
  for (const auto& option : given.options()) {
    if (!given.given(option.key)) continue;
    const auto& kept = effective.option(option.key);
    if (option.keep == Keep::recorded && kept.get() != option.get())
      throw Error(
          ExitCode::usage,
          fmt::format("--{} {} contradicts {}, which has {}", option.key, option.get(), (run / "run.cfg").string(),
                      kept.get()),
          option.key == "lanes"
              ? "`langrun run relane` makes a run with other lanes from a checkpoint"
              : fmt::format("a resumed run keeps its configuration, but for {}; start a new run for another one",
                            changeable_keys(effective)));
  }
}

// A run.cfg that was changed by hand, or by a bad disk, would go on with another configuration than the chains have.
void refuse_changed_configuration(const std::string& of_checkpoint, OptionTable& effective, const fs::path& run) {
  if (of_checkpoint.empty()) return;
  std::vector<std::string> of_run;
  for (const auto& option : effective.options()) of_run.push_back(option.get());
  effective.read_config(of_checkpoint, "the checkpoint's configuration");
  for (std::size_t i = 0; i < of_run.size(); ++i) {
    const auto& option = effective.options()[i];
    if (option.keep == Keep::recorded && option.get() != of_run[i])
      throw Error(ExitCode::usage,
                  fmt::format("{}: {} is {}, but the run's newest checkpoint was made with {}",
                              (run / "run.cfg").string(), option.key, of_run[i], option.get()),
                  "put it back as it was, or start a new run");
    option.set(of_run[i]);
  }
}

}  // namespace

RunState inspect_run(Communicator& world, const fs::path& run, bool resume, const OptionTable& given,
                     OptionTable& effective) {
  if (run.empty())
    throw Error(ExitCode::usage, "--run is missing", "name a folder for the run, for example --run runs/first");
  const auto seen =
      nlohmann::json::parse(on_root_slowly(world, "look into the run folder", [&] { return look(run, resume); }));
  RunState state{
      seen["fresh"], seen["from_step"], seen["damaged"], {seen["looked"], seen["generation"]}, seen["images"]};
  if (!state.fresh) refuse_other_job(seen["configuration"], effective, run);
  if (!state.fresh) effective.read_config(seen["configuration"], (run / "run.cfg").string());
  if (!state.fresh) refuse_changed_configuration(seen["checkpoint_configuration"], effective, run);
  if (!state.fresh) refuse_contradictions(given, effective, run);
  take_given(given, effective);
  refuse_unequal_ranks(world, effective);
  return state;
}

void take_given(const OptionTable& given, OptionTable& effective) {
  for (const auto& option : given.options())
    if (given.given(option.key)) effective.option(option.key).set(option.get());
}

void publish_configuration(const fs::path& run, const GenerationFolder& home, const std::string& text) {
  // Compared with what is there now: an older start that was alive until the home was taken may have put its own there.
  std::error_code none;
  if (fs::exists(run / "run.cfg", none) && read_text(run / "run.cfg") == text) return;
  publish_from(home, run / "run.cfg", text);
}

std::int64_t claim_run(const fs::path& run, const GenerationFolder& home, const RunState& state,
                       const OptionTable& effective) {
  const auto from_step = step_to_go_on_from(home.path, state);
  clear_checkpoints_after(home.path, from_step);
  publish_configuration(run, home, effective.run_cfg());
  const auto lines = MetricsWriter::truncate_after(run / "metrics.jsonl", from_step, home);
  if (!lines.missing.empty())
    fmt::print(stderr, "langrun: warning: {}: {}; the run goes on without\n", (run / "metrics.jsonl").string(),
               lines.missing);
  return from_step;
}

}  // namespace langrun::launch
