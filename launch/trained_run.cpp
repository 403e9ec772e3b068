#include "launch/trained_run.h"

#include <fmt/format.h>

#include <stdexcept>

#include "core/error.h"
#include "data/checkpoint.h"
#include "jobs/chain_start.h"
#include "launch/hat_options.h"
#include "launch/options.h"
#include "launch/passed_over.h"
#include "launch/training_options.h"

namespace langrun::launch {
namespace {

void bind(OptionTable& table, TrainedRun& run) {
  table.text("job", run.job, "");
  table.text("data", run.data, "");
  table.choice("precision", run.precision, {"fp32", "tf32", "bf16"}, "");
  table.integer("seed", run.seed, "", "", {0});
  table.integer("evaluation.steps", run.evaluation_steps, "", "", {0});
  table.real("evaluation.joint-temperature", run.joint_temperature, "", "", {1e-12, 1e12});
  table.flag("prior", run.prior_training, "");
  table.text("prior.energy", run.prior, "");
  bind_tau(table, run.tau, "");
  bind_energy(table, run.energy);
  bind_langevin(table, run.langevin);
  table.text("init", run.init, "");
  table.text("generator.batch-norm", run.batch_norm, "");
  bind_generator(table, run.generator);
  bind_source(table, run.source);
}

}  // namespace

double felt_tau(const TrainedRun& run) {
  return run.job == "longrun" || (run.job == "midrun" && run.prior_training) ? run.tau : 0;
}

namespace {

void read_into(OptionTable& table, const std::string& text, const std::string& where) {
  for (const auto& option : table.options()) {
    const auto value = configured(text, option.key, where);
    if (!value) continue;
    try {
      option.set(*value);
    } catch (const std::invalid_argument& wrong) {
      throw Error(ExitCode::usage, fmt::format("{}: {} = {}: {}", where, option.key, *value, wrong.what()),
                  "put it back as it was");
    }
  }
}

HatConfig read_hat(const std::string& text, const std::string& where) {
  HatConfig hat;
  OptionTable table("a hat");
  bind_hat(table, hat);
  read_into(table, text, where);
  return hat;
}

}  // namespace

TrainedRun read_trained_run(const std::string& text, const std::string& where) {
  TrainedRun run;
  OptionTable table("a run");
  bind(table, run);
  read_into(table, text, where);
  if (run.job == "hat") run.hat = read_hat(text, where);
  for (const auto* known : {"shortrun", "midrun", "longrun", "convergent", "hat"})
    if (run.job == known) return run;
  throw Error(ExitCode::input, fmt::format("{} is of a job '{}', which trains no energy", where, run.job),
              "shortrun, midrun, longrun, convergent and hat do");
}

std::int64_t checkpoint_step(const std::string& run, std::int64_t at) {
  if (at > 0) {
    const auto problems = problems_of(checkpoint_folder(run, at));
    if (!problems.empty())
      throw Error(ExitCode::input, problems.front(), "`langrun run status DIR` lists the checkpoints");
    return at;
  }
  std::vector<std::string> damaged;
  const auto newest = newest_good_checkpoint(checkpoint_home(run), damaged);
  if (!newest)
    throw Error(ExitCode::input, fmt::format("{} has no checkpoint yet", run),
                "wait for one; `langrun sample` can also take --weights initial");
  warn_of_passed_over(damaged);
  return *newest;
}

std::filesystem::path checkpoint_folder(const std::string& run, std::int64_t step) {
  return checkpoint_home(run) / checkpoint_name(step);
}

SampleStartConfig own_start(const TrainedRun& run, const std::string& weights, const std::string& weights_file) {
  SampleStartConfig start;
  start.path = run.data;
  if (run.hat && run.source.generator.empty()) {
    start.kind = weights == "initial" ? SampleStartKind::untrained : SampleStartKind::generator;
    start.generator = {weights_file, weights, 0, "-1:1"};
    start.untrained = run.hat->generator;
    start.batch_norm = false;
    start.weights_seed = run.seed;
    return start;
  }
  if (run.job == "shortrun") {
    const auto begins = chain_start(run.init);
    if (uses_generator(begins)) {
      start.kind = weights == "initial" ? SampleStartKind::untrained : SampleStartKind::generator;
      start.generator = {weights_file, weights, 0, "-1:1"};
      start.untrained = run.generator;
      start.batch_norm = run.batch_norm == "lane";
      start.weights_seed = run.seed;
    } else if (begins == ChainStart::data || begins == ChainStart::data_persistent) {
      start.kind = SampleStartKind::drawn;
    }
    return start;
  }
  if (run.job == "convergent") return start;
  start.kind = SampleStartKind::drawn;
  if (run.source.generator.empty()) return start;
  if (weights == "initial")
    throw Error(ExitCode::usage, "--weights initial: this run's generator was trained before it began",
                "use --weights raw, or name another --source");
  start.kind = SampleStartKind::checkpoint;
  start.generator = run.source;
  start.path = weights_file;
  return start;
}

}  // namespace langrun::launch
