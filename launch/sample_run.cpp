#include "launch/sample_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/sample_folder.h"
#include "launch/automatic_options.h"
#include "launch/provenance.h"
#include "launch/run_folder.h"
#include "launch/run_watch.h"
#include "launch/sample_records.h"
#include "launch/signals.h"
#include "launch/steps_list.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

/// Automatic as well.
constexpr std::array<AutomaticOption, 1> kAutomatic{{{"count", "0"}}};

std::vector<std::int64_t> listed_steps(const SampleOptions& o) {
  if (o.steps_list.empty()) return {o.samples.steps};
  return rising_steps(o.steps_list, "steps-list");
}

// A step between others would change what the ones behind it mean, and chains that passed it cannot go back.
void check_extension(const std::vector<std::int64_t>& now, const std::vector<std::int64_t>& before) {
  for (std::size_t i = 0; i < before.size(); ++i)
    if (i >= now.size() || now[i] != before[i])
      throw Error(ExitCode::usage,
                  fmt::format("--steps-list does not go on from that of run.cfg: step {} is missing", before[i]),
                  "a resumed sampling can list further steps behind those it has");
}

/// What is found in the folder, the same on every rank.
struct Found {
  std::string run_cfg;
  bool begun = false;
  std::vector<std::int64_t> finished;
};

Found find(Communicator& world, const fs::path& run, bool resume) {
  using Json = nlohmann::json;
  const auto seen = Json::parse(on_root(world, "look into the folder", [&] {
    Json json{{"run_cfg", ""}, {"begun", false}, {"finished", Json::array()}};
    if (resume && fs::exists(run / "run.cfg")) {
      json["run_cfg"] = read_text(run / "run.cfg", kMostConfiguration);
      json["begun"] = chains_begun(run);
      json["finished"] = finished_steps(run);
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }));
  return {seen["run_cfg"], seen["begun"], seen["finished"]};
}

// They are not made again, so nothing else would notice.
void refuse_damaged_steps(Communicator& world, const fs::path& run, const std::vector<std::int64_t>& finished) {
  on_root_slowly(world, "read finished steps", [&] { return check_step_stores(run, finished), std::string(); });
}

// Files that a killed start had half written; they bear its number, so that no later writer replaces them.
void clear_partials(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".partial") fs::remove(entry.path(), ignored);
}

class FolderRun {
 public:
  FolderRun(Call& call, const OptionTable& table, SampleOptions& options, const Found& found, const RunState& state)
      : call_(call), table_(table), options_(options), found_(found), state_(state), run_(options.run) {}

  int carry_out() {
    set_up();
    claim();
    const auto state = generation_folder(run_, kSampleState, generation_);
    SampleFolderConfig folder{run_,
                              state.path,
                              steps_,
                              options_.checkpoint_every,
                              options_.stop_at,
                              StopClock(options_.stop_after, options_.deadline),
                              stop_asked,
                              [this] { return newest_generation_folder(run_, kSampleState).generation > generation_; }};
    const auto records = make_sample_records(run_, config_);
    RunWatch watch(call_.world, run_, generation_);
    const auto code = sampling_->run(folder, finished_.size(), *records);
    watch.end();
    if (call_.world.rank() == 0) say_end(code);
    return static_cast<int>(code);
  }

 private:
  void set_up() {
    if (found_.begun)
      config_ = resumed_samples(options_.samples, run_ / "weights.h5");
    else
      config_ = resolve_samples(call_.world, options_.samples);
    if (options_.samples.steps < 0 && options_.steps_list.empty())
      throw Error(ExitCode::usage, "neither --langevin.steps nor --steps-list is given", "say how many steps");
    steps_ = listed_steps(options_);
    // run.cfg is to be a configuration that can be given again: one of the two.
    if (!options_.steps_list.empty()) options_.samples.steps = -1;
    if (!state_.fresh) check_extension(steps_, before());
    agree(call_.world, "set up", [&] { sampling_.emplace(config_, found_.begun, call_.world); });
    options_.samples.count = sampling_->chains();
    config_.count = sampling_->chains();
  }

  /// Listed steps as of the start before this one.
  std::vector<std::int64_t> before() const {
    const auto where = (run_ / "run.cfg").string();
    const auto list = configured(found_.run_cfg, "steps-list", where).value_or("");
    return list.empty() ? found_.finished : rising_steps(list, "steps-list");
  }

  void claim() {
    const auto hosts = by_rank(call_.world, "hosts", host_name());
    const auto devices = by_rank(call_.world, "devices", sampling_->device());
    std::istringstream claimed(on_root(call_.world, "claim the folder", [&] {
      const auto text = table_.run_cfg();
      const auto first = found_.finished.empty() ? 0 : found_.finished.back();
      const auto home =
          begin_generation(run_, kSampleState, {call_.command_line, hosts, devices, first + 1, state_.look});
      // An older start that was still alive may have gone on since this one looked.
      if (chains_begun(run_) != found_.begun)
        throw Error(
            ExitCode::storage,
            fmt::format("{}: another start is at work on it, and has begun its chains meanwhile", run_.string()),
            "end the other start, and start again with --resume");
      // Not by a start that was overtaken meanwhile: the newer one is writing under such names.
      if (is_there(home)) clear_partials(run_);
      clear_partials(home.path);
      publish_configuration(run_, home, text);
      // Whatever stands there: the start that put it there has begun no chains.
      if (!found_.begun)
        publish_from(home, run_ / "weights.h5", [&](const fs::path& partial) { sampling_->keep_energy(partial); });
      return fmt::format("{} {}", home.generation, fmt::join(finished_steps(run_), " "));
    }));
    claimed >> generation_;
    for (std::int64_t step = 0; claimed >> step;) finished_.push_back(step);
  }

  void say_end(ExitCode code) const {
    if (code == ExitCode::stopped) {
      fmt::print("stopped as asked; chains are saved. Run again with --resume to go on.\n");
      return;
    }
    fmt::print("done: {} chains, {} steps\npicture: {}\n", config_.count, steps_.back(),
               (run_ / "samples" / fmt::format("{:09}.png", steps_.back())).string());
  }

  Call& call_;
  const OptionTable& table_;
  SampleOptions& options_;
  const Found& found_;
  const RunState& state_;
  const fs::path run_;
  SampleConfig config_;
  std::vector<std::int64_t> steps_;
  std::optional<FolderSampling> sampling_;
  std::int64_t generation_ = 0;
  std::vector<std::int64_t> finished_;  // listed steps that all chains have passed
};

}  // namespace

int run_sample_folder(Call& call, OptionTable& asked_table, SampleOptions& asked,
                      void (*bind)(OptionTable& table, SampleOptions& options)) {
  call.world.set_limit(asked.watchdog_limit);
  listen_for_stop();
  const auto found = find(call.world, asked.run, asked.resume);
  agree_with_automatic(asked_table, kAutomatic, found.run_cfg, asked.run + "/run.cfg");
  SampleOptions options;
  OptionTable table("sample");
  bind(table, options);
  const auto state = inspect_run(call.world, asked.run, asked.resume, asked_table, table);
  refuse_damaged_steps(call.world, asked.run, found.finished);
  if (!options.steps_list.empty() && asked_table.given("langevin.steps") && asked.samples.steps >= 0)
    throw Error(ExitCode::usage, "both --langevin.steps and --steps-list say how far chains go", "give one of them");
  if (options.samples.run.empty())
    throw Error(ExitCode::usage, "--energy is missing", "name the folder of a run, or a file of weights");
  (void)table.run_cfg();  // refuses what run.cfg could not hold before anything is built
  call.world.set_limit(options.watchdog_limit);
  return FolderRun(call, table, options, found, state).carry_out();
}

}  // namespace langrun::launch
