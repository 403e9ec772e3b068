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
#include "launch/questions.h"
#include "launch/run_folder.h"
#include "launch/signals.h"

namespace langrun::launch {

/// A training command, whose Config has a TrainingConfig `training`: how its configuration is bound to options and how
/// its job is built from it.
template <typename Config>
struct TrainingCommand {
  std::string name;
  std::string summary;
  void (*bind)(OptionTable& table, Config& config);
  std::unique_ptr<TrainingJob> (*make)(const Config& config, Communicator& world);
};

/// Throws Error(usage) where the run has gone beyond the steps it is asked for: such an end would be none that it had.
void refuse_fewer_steps(const TrainingConfig& config, const RunState& state);
/// Prints the start table on rank 0.
void show_start(const Call& call, const OptionTable& table, const TrainingJob& job, const RunState& state);
/// Claims the run folder and runs the loop to its end; returns the exit code. Collective.
int carry_out(Call& call, const OptionTable& table, const TrainingConfig& config, TrainingJob& job,
              const RunState& state);

/// The whole command, on every rank.
template <typename Config>
int run_training(Call& call, const TrainingCommand<Config>& command) {
  // Options are bound twice: `asked` holds what this call gives, `config` what the run will have, which for a resumed
  // run comes from its run.cfg.
  Config asked;
  OptionTable asked_table(command.name);
  command.bind(asked_table, asked);
  asked_table.presets(presets_of(command.name));
  asked_table.parse(call.arguments);
  if (answer_questions(call, asked_table, command.summary, DryRun::left)) return 0;
  const TrainingConfig& wanted = asked.training;
  const bool dry_run = asked_table.dry_run();

  call.world.set_limit(wanted.watchdog_limit);
  if (!dry_run) listen_for_stop();

  Config config;
  OptionTable table(command.name);
  command.bind(table, config);
  const TrainingConfig& training = config.training;
  RunState state;
  if (dry_run && wanted.run.empty())
    take_given(asked_table, table);
  else
    state = inspect_run(call.world, wanted.run, wanted.resume, asked_table, table);
  refuse_fewer_steps(training, state);
  config.training.from_checkpoint = state.from_step > 0;
  (void)table.run_cfg();  // refuses what run.cfg could not hold before anything is built
  call.world.set_limit(training.watchdog_limit);
  std::unique_ptr<TrainingJob> job;
  agree(call.world, "set up", [&] { job = command.make(config, call.world); });
  show_start(call, table, *job, state);
  return dry_run ? 0 : carry_out(call, table, training, *job, state);
}

}  // namespace langrun::launch
