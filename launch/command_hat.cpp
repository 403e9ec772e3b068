// langrun hat
#include <filesystem>

#include "jobs/hat.h"
#include "launch/commands.h"
#include "launch/hat_options.h"
#include "launch/training_command.h"

namespace langrun::launch {
namespace {

// A run that goes on has its mode from run.cfg, with which options given again have to agree anyway.
void check_call(const std::vector<std::string>& arguments) {
  HatConfig asked;
  OptionTable table("hat");
  bind_hat(table, asked);
  table.presets(presets_of("hat"));
  table.parse(arguments);
  const auto& training = asked.training;
  const bool goes_on = training.resume && std::filesystem::exists(std::filesystem::path(training.run) / "run.cfg");
  if (!table.help_asked() && !table.presets_asked() && !goes_on) check_hat_options(arguments, table, asked);
}

}  // namespace

int run_hat(Call& call) {
  check_call(call.arguments);
  TrainingCommand<HatConfig> command{
      "hat", "Trains the energy of a generator's image plus a residual, U(Y, Z) = H(G(Z) + Y) (hat learning).",
      bind_hat, make_hat};
  return run_training(call, command);
}

}  // namespace langrun::launch
