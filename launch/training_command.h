// What every training command does around its job: options, run folder, job, loop, report.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "distributed/agreement.h"
#include "jobs/training.h"
#include "launch/command.h"
#include "launch/options.h"
#include "launch/presets.h"
#include "launch/run_folder.h"

namespace langrun::launch {

/// A training command: how its configuration is bound to options and how its job is built from it.
template <typename Config>
struct TrainingCommand {
  std::string name;
  std::string summary;
  void (*bind)(OptionTable& table, Config& config);
  std::unique_ptr<TrainingJob> (*make)(const Config& config, Communicator& world);
  TrainingConfig& (*training)(Config& config);
};

/// Answers --help and --presets on rank 0; true where it did.
bool answer_questions(const Call& call, const OptionTable& table, const std::string& summary);
/// Prints the start table on rank 0.
void show_start(const Call& call, const OptionTable& table, const TrainingJob& job, const RunState& state);
/// Claims the run folder and runs the loop to its end; returns the exit code. Collective.
int carry_out(Call& call, const OptionTable& table, const TrainingConfig& config, TrainingJob& job,
              const RunState& state);

/// The whole command, on every rank.
template <typename Config>
int run_training(Call& call, const TrainingCommand<Config>& command) {
  Config asked;
  OptionTable given(command.name);
  command.bind(given, asked);
  given.presets(presets_of(command.name));
  given.parse(call.arguments);
  if (answer_questions(call, given, command.summary)) return 0;

  Config config;
  OptionTable table(command.name);
  command.bind(table, config);
  const auto& training = command.training(config);
  const auto& first = command.training(asked);
  RunState state;
  if (given.dry_run())
    take_given(given, table);
  else
    state = inspect_run(call.world, first.run, first.resume, given, table);
  call.world.set_limit(training.watchdog_limit);
  std::unique_ptr<TrainingJob> job;
  agree(call.world, "set up", [&] { job = command.make(config, call.world); });
  show_start(call, table, *job, state);
  return given.dry_run() ? 0 : carry_out(call, table, training, *job, state);
}

}  // namespace langrun::launch
