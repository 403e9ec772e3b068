#include "launch/training_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <sstream>

#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/image_store.h"
#include "distributed/agreement.h"
#include "launch/passed_over.h"
#include "launch/provenance.h"
#include "launch/report.h"
#include "launch/run_watch.h"
#include "launch/signals.h"
#include "launch/start_table.h"
#include "launch/training_display.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

std::string identity_of(const std::string& data) {
  return data.empty() ? "" : ImageStore::open(data, Accept::any_type).identity();
}

// A run goes on with the images that it began with, and nothing else of a store that was replaced would be noticed.
void refuse_other_images(const RunState& state, const TrainingConfig& config, const std::string& images) {
  if (may_be_same_images(state.images, images)) return;
  throw Error(
      ExitCode::usage,
      fmt::format("--data {} holds other images than when {} was at step {}", config.data, config.run, state.from_step),
      "put those back (at another place, behind a link), or start a new run with these");
}

std::string device_of(const TrainingJob& job) {
  for (const auto& fact : job.facts())
    if (fact.name == "device") return fact.value;
  return "unknown";
}

void say_end(const fs::path& run, ExitCode code, const TrainingConfig& config) {
  if (code == ExitCode::stopped) {
    std::error_code gone;  // a newer start may have taken it by now
    fmt::print("stopped as asked; checkpoint {}. Run again with --resume to go on.\n",
               fs::read_symlink(checkpoint_home(run) / "latest", gone).string());
    return;
  }
  fmt::print("done: {} steps\n", config.steps);
  fmt::print("picture: {}\n", (run / "samples" / (checkpoint_name(config.steps) + ".png")).string());
  if (const auto report = write_report(run)) fmt::print("report: {}\n", report->string());
}

}  // namespace

void refuse_fewer_steps(const TrainingConfig& config, const RunState& state) {
  if (state.from_step <= config.steps) return;
  throw Error(ExitCode::usage,
              fmt::format("--steps {}: {} is at step {} already", config.steps, config.run, state.from_step),
              "steps are counted over all starts; `--steps` of a resume may be what the run has done, or more");
}

void show_start(const Call& call, const OptionTable& table, const TrainingJob& job, const RunState& state) {
  if (call.world.rank() != 0) return;
  warn_of_passed_over(state.damaged);
  auto facts = job.facts();
  if (!state.fresh) facts.push_back({"goes on from step", fmt::format("{}", state.from_step)});
  print_start_table(stdout, table, facts);
}

int carry_out(Call& call, const OptionTable& table, const TrainingConfig& config, TrainingJob& job,
              const RunState& state) {
  const fs::path run(config.run);
  const bool root = call.world.rank() == 0;
  const auto hosts = by_rank(call.world, "hosts", host_name());
  const auto devices = by_rank(call.world, "devices", device_of(job));
  const auto images = on_root_slowly(call.world, "tell the images", [&] {
    auto identity = identity_of(config.data);
    refuse_other_images(state, config, identity);
    return identity;
  });
  std::istringstream claimed(on_root(call.world, "claim the run folder", [&] {
    // The home is taken before anything of an older start is touched, which from then on publishes no more.
    const auto home =
        begin_generation(run, kCheckpointHome, {call.command_line, hosts, devices, state.from_step + 1, state.look});
    return fmt::format("{} {}", home.generation, claim_run(run, home, state, table));
  }));
  std::int64_t generation = 0, from_step = 0;
  claimed >> generation >> from_step;
  const TrainingStart start{
      table.run_cfg(), generation_folder(run, kCheckpointHome, generation), from_step, stop_asked, hosts, images};
  RunWatch watch(call.world, run, generation);
  std::unique_ptr<TrainingObserver> display;
  agree(call.world, "open the records",
        [&] { display = root ? make_training_display(run, start.home, config.steps) : make_silent_display(); });
  const auto code = train(job, config, start, call.world, *display);
  display.reset();
  // Others wait for the report, which takes its time whatever a step may take.
  on_root_slowly(call.world, "report", [&] { return say_end(run, code, config), std::string(); });
  watch.end();
  return static_cast<int>(code);
}

}  // namespace langrun::launch
