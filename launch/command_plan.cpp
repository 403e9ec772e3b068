// langrun plan
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>

#include "core/error.h"
#include "core/memory_trace.h"
#include "core/nearest.h"
#include "data/durable.h"
#include "data/image_store.h"
#include "distributed/agreement.h"
#include "jobs/plan.h"
#include "launch/autoencoder_options.h"
#include "launch/classify_options.h"
#include "launch/commands.h"
#include "launch/convergent_options.h"
#include "launch/hat_options.h"
#include "launch/longrun_options.h"
#include "launch/midrun_options.h"
#include "launch/options.h"
#include "launch/plan_assumed.h"
#include "launch/plan_report.h"
#include "launch/presets.h"
#include "launch/python.h"
#include "launch/questions.h"
#include "launch/shortrun_options.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSummary =
    "What a training job would need, without running it: memory a rank, exchange, checkpoints, and with a speed given "
    "or "
    "measured steps a day and scaling to 1024 ranks. Takes the options of JOB itself, too.";
constexpr double kMeasureSeconds = 3;

struct PlanOptions {
  std::string job;
  std::int64_t ranks = 1, images = 0;
  double throughput = 0;  // image-steps a second of a rank; 0: not known
  bool measure = false;
  double network = 1.25, disk = 1, latency = 10;  // GB/s, GB/s, microseconds
  std::string json, plot;
};

void bind_plan(OptionTable& table, PlanOptions& o) {
  table.integer("ranks", o.ranks, "ranks", "that the job is to run on", {1, 1 << 16}, Keep::transient);
  table.integer(
      "images", o.images, "images",
      "of the training set, where the bank has a slot for each; or --data; 0: those of the preset's set, where its "
      "name says which",
      {0}, Keep::transient);
  table.real(
      "throughput", o.throughput, "image-steps/s",
      "Langevin steps of one image that a rank makes in a second (of classify and autoencoder: images); 0: not known",
      {0}, Keep::transient);
  table.flag("measure", o.measure, "measure it on this machine, in a few seconds", Keep::transient);
  table.real("network", o.network, "GB/s", "that a rank sends while all ranks do", {1e-6, 1e6}, Keep::transient);
  table.real("latency", o.latency, "microseconds", "of one message", {0, 1e9}, Keep::transient);
  table.real("disk", o.disk, "GB/s", "that all ranks together write", {1e-6, 1e6}, Keep::transient);
  table.text("json", o.json, "file for the plan, as JSON; must not exist", Keep::transient);
  table.text("plot", o.plot, "file for the scaling curves, as PNG; must not exist; wants a speed", Keep::transient);
}

/// The largest size of this program where it computes nothing; 0 where that cannot be found out. To be called before
/// anything is computed, since a new process counts as large as its parent.
double bytes_of_idle_program() {
  std::string program = fs::read_symlink("/proc/self/exe").string(), option = "--version";
  char* arguments[] = {program.data(), option.data(), nullptr};
  // No launcher's: it runs alone.
  char* environment[] = {nullptr};
  posix_spawn_file_actions_t silent;
  posix_spawn_file_actions_init(&silent);
  posix_spawn_file_actions_addopen(&silent, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawn(&child, program.c_str(), &silent, nullptr, arguments, environment);
  posix_spawn_file_actions_destroy(&silent);
  if (failed != 0) return 0;
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child || status != 0) return 0;
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

/// What a start says of every run. As a program ends, the libraries' destructors touch pages that nobody had needed.
void look_at_start(PlanPlace& place) {
  const double started = resident_bytes();
  place.exit_bytes = std::max(0.0, bytes_of_idle_program() - started);
  give_back_unused();
  place.idle_bytes = std::max(0.0, started - resident_bytes());
}

void check_new(const std::string& path) {
  if (!path.empty() && fs::exists(path))
    throw Error(ExitCode::usage, fmt::format("{} exists", path), "name a new file");
}

void check(const PlanOptions& o) {
  if (o.measure && o.throughput > 0)
    throw Error(ExitCode::usage, "both --measure and --throughput say how fast a rank is", "give one of them");
  if (!o.plot.empty() && !o.measure && o.throughput <= 0)
    throw Error(ExitCode::usage, "--plot shows steps a day, and the speed of a rank is not known",
                "give --throughput IMAGE_STEPS_PER_SECOND, or --measure");
  check_new(o.json);
  check_new(o.plot);
}

/// Times, as far as the speed of a rank is known: measured here, or given; updates then go at the same ratio to chains
/// as here.
TimedPlan with_times(JobPlan plan, const PlanOptions& o) {
  TimedPlan timed{std::move(plan), {}, o.measure || o.throughput > 0, o.measure};
  const auto& p = timed.plan;
  auto& model = timed.model;
  model.gradient_seconds = p.gradient_seconds;
  model.update_seconds = p.update_seconds;
  if (o.throughput > 0) {
    // What is not sampled from only has updates.
    const double here = p.gradient_seconds > 0 ? p.gradient_seconds : p.update_seconds;
    model.gradient_seconds = 1 / o.throughput;
    model.update_seconds = p.update_seconds / here / o.throughput;
  }
  model.chain_steps = p.image_steps / static_cast<double>(p.batch);
  model.weights = p.weights;
  model.network = o.network * 1e9;
  model.latency = o.latency * 1e-6;
  model.disk = o.disk * 1e9;
  model.fixed_bytes = p.fixed_checkpoint_bytes;
  model.bank_bytes = (p.checkpoint_bytes - p.fixed_checkpoint_bytes) / static_cast<double>(p.batch);
  model.checkpoint_every = p.checkpoint_every;
  return timed;
}

void write_outputs(const TimedPlan& timed, const PlanOptions& o, std::int64_t steps,
                   const std::vector<std::string>& command) {
  fmt::print("{}", plan_text(timed, steps));
  const auto json = plan_json(timed, steps, command);
  if (!o.json.empty()) write_durably(o.json, json);
  if (!o.plot.empty()) run_python_script("launch/plan/plot.py", {fs::absolute(o.plot).string()}, json);
}

/// Reads the options of one job with plan's own, makes the plan on rank 0 and writes it out there.
template <typename Config>
int plan_with(Call& call, const std::string& job, void (*bind)(OptionTable&, Config&)) {
  Config config;
  PlanOptions options;
  OptionTable table("plan " + job);
  bind_plan(table, options);
  bind(table, config);
  table.presets(presets_of(job));
  table.parse({call.arguments.begin() + 1, call.arguments.end()});
  if (answer_questions(call, table, kSummary)) return 0;
  agree(call.world, "plan", [&] {
    if (call.world.rank() != 0) return;
    check(options);
    const auto& training = config.training;
    PlanPlace place;
    place.ranks = options.ranks;
    place.images = options.images;
    place.measure_seconds = options.measure ? kMeasureSeconds : 0;
    look_at_start(place);
    if (!training.data.empty())
      place.images = static_cast<std::int64_t>(ImageStore::open(training.data, Accept::any_type).count());
    const auto assumed = assume(table, config, place);
    const auto alone = make_solo_communicator();
    auto plan = plan_job(config, place, *alone);
    plan.assumed = assumed;
    const auto timed = with_times(std::move(plan), options);
    write_outputs(timed, options, training.steps, call.command_line);
  });
  return 0;
}

using PlanOfJob = std::function<int(Call&)>;

const std::map<std::string, PlanOfJob>& jobs() {
  static const std::map<std::string, PlanOfJob> all{
      {"shortrun", [](Call& call) { return plan_with<ShortrunConfig>(call, "shortrun", bind_shortrun); }},
      {"midrun", [](Call& call) { return plan_with<MidrunConfig>(call, "midrun", bind_midrun); }},
      {"longrun", [](Call& call) { return plan_with<LongrunConfig>(call, "longrun", bind_longrun); }},
      {"convergent", [](Call& call) { return plan_with<ConvergentConfig>(call, "convergent", bind_convergent); }},
      {"hat", [](Call& call) { return plan_with<HatConfig>(call, "hat", bind_hat); }},
      {"autoencoder", [](Call& call) { return plan_with<AutoencoderConfig>(call, "autoencoder", bind_autoencoder); }},
      {"classify", [](Call& call) { return plan_with<ClassifyConfig>(call, "classify", bind_classify); }},
  };
  return all;
}

std::vector<std::string> job_names() {
  std::vector<std::string> names;
  for (const auto& [name, plan] : jobs()) names.push_back(name);
  return names;
}

/// A call without a job: --help, or a mistake.
int without_job(Call& call) {
  PlanOptions options;
  OptionTable table("plan");
  table.positional("JOB", options.job,
                   fmt::format("{}; `langrun plan JOB --help` lists its options, too", fmt::join(job_names(), ", ")));
  bind_plan(table, options);
  table.parse(call.arguments);
  if (answer_questions(call, table, kSummary)) return 0;
  throw Error(ExitCode::usage, "langrun plan: the JOB comes first", "langrun plan shortrun --preset cifar10 --ranks 8");
}

}  // namespace

int run_plan(Call& call) {
  if (call.arguments.empty() || call.arguments.front().starts_with("--")) return without_job(call);
  const auto& job = call.arguments.front();
  const auto found = jobs().find(job);
  if (found == jobs().end()) {
    const auto names = job_names();
    const auto close = nearest(job, names);
    throw Error(
        ExitCode::usage, fmt::format("langrun plan knows no job '{}'", job),
        close.empty() ? fmt::format("one of {}", fmt::join(names, ", ")) : fmt::format("did you mean '{}'?", close));
  }
  return found->second(call);
}

}  // namespace langrun::launch
