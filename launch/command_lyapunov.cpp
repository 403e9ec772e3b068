// langrun lyapunov
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "distributed/agreement.h"
#include "jobs/lyapunov.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/provenance.h"
#include "launch/python.h"
#include "launch/questions.h"
#include "launch/run_folder.h"
#include "launch/run_watch.h"
#include "launch/sampling.h"
#include "launch/steps_list.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSummary =
    "Maximal Lyapunov exponents of x - (tau^2/2) grad E(x) + eta tau z over noise scales eta, with tau the training "
    "step "
    "size: two trajectories with the same noise, for several separations.";

struct LyapunovOptions {
  std::string job = "lyapunov";
  SampleRequest samples;
  std::string etas = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8,1.9,2";
  std::string deltas = "1e-3,1e-2,1e-1";
  std::string run;
  std::int64_t chains = 16, steps = 1000, burn_in = 100;
  double watchdog_limit = 1800;
};

void bind(OptionTable& table, LyapunovOptions& o) {
  table.choice("job", o.job, {"lyapunov"}, "the command that a configuration file is of");
  table.text("run", o.run, "folder for the result; made if it is missing", Keep::transient);
  bind_sampled_energy(table, o.samples);
  table.text("etas", o.etas, "scales of the noise, rising; 1 is the noise of training");
  table.text("deltas", o.deltas,
             "L2 norms of the separation, rising: they decide what is measured, so several are, a decade apart");
  table.integer("chains", o.chains, "chains", "over which the exponent is averaged; 0: all that the source has",
                {0, 100'000'000});
  table.integer("steps", o.steps, "steps", "steps whose growth counts", {1, 100'000'000});
  table.integer("burn-in", o.burn_in, "steps", "steps before them", {0, 100'000'000});
  bind_sample_source(table, o.samples);
  bind_sample_calls(table, o.samples);
  table.real("watchdog.limit", o.watchdog_limit, "seconds", "longest wait in one collective; 0: for ever", {0});
}

LyapunovSettings configure(Communicator& world, LyapunovOptions& o) {
  LyapunovSettings settings;
  settings.etas = rising_numbers(o.etas, "etas");
  settings.deltas = rising_numbers(o.deltas, "deltas");
  settings.burn_in = o.burn_in;
  settings.steps = o.steps;
  o.samples.count = o.chains;
  settings.chains = resolve_samples(world, o.samples);
  return settings;
}

std::string as_json(const LyapunovSettings& settings, const LyapunovOptions& o, const LyapunovResult& result) {
  const auto& chains = settings.chains;
  const double temperature = chains.langevin.temperature * chains.energy.joint_temperature;
  Json json{{"energy", o.samples.run},
            {"weights", chains.weights},
            {"checkpoint", o.samples.at},
            {"source", chains.source.empty() ? "run" : chains.source},
            {"chains", result.chains},
            {"steps", settings.steps},
            {"burn_in", settings.burn_in},
            {"seed", chains.seed},
            {"call", chains.call},
            {"precision", chains.energy.precision},
            {"step_size", chains.langevin.eta},
            {"temperature", chains.langevin.temperature},
            {"joint_temperature", chains.energy.joint_temperature},
            {"gradient_weight", chains.langevin.eta * chains.langevin.eta / (2 * temperature)},
            {"etas", settings.etas},
            {"deltas", settings.deltas},
            {"interval", "95 %, Student's t over chains"},
            {"exponents", Json::array()}};
  // JSON knows no infinity: of a single chain there is no interval.
  const auto bound = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  for (std::size_t e = 0; e < settings.etas.size(); ++e)
    for (std::size_t d = 0; d < settings.deltas.size(); ++d) {
      const auto& found = result.intervals[e * settings.deltas.size() + d];
      json["exponents"].push_back({{"eta", settings.etas[e]},
                                   {"delta", settings.deltas[d]},
                                   {"exponent", found.mean},
                                   {"low", bound(found.low)},
                                   {"high", bound(found.high)}});
    }
  return json.dump(2) + "\n";
}

void write_values(const fs::path& path, const LyapunovSettings& settings, const LyapunovResult& result) {
  const fs::path partial = path.string() + ".partial";
  std::error_code ignored;
  fs::remove(partial, ignored);
  const auto etas = static_cast<std::uint64_t>(settings.etas.size()),
             deltas = static_cast<std::uint64_t>(settings.deltas.size());
  auto file = h5::File::create(partial);
  file.write("/etas", {etas}, settings.etas.data());
  file.write("/deltas", {deltas}, settings.deltas.data());
  file.write("/exponents", {etas, deltas, static_cast<std::uint64_t>(result.chains)}, result.exponents.data());
  file.close();
  sync_path(partial);
  rename_durably(partial, path);
}

void print_table(const LyapunovSettings& settings, const LyapunovResult& result) {
  fmt::print("{:>8} {:>10} {:>10} {:>22}\n", "eta", "delta", "exponent", "95 % over chains");
  for (std::size_t e = 0; e < settings.etas.size(); ++e)
    for (std::size_t d = 0; d < settings.deltas.size(); ++d) {
      const auto& found = result.intervals[e * settings.deltas.size() + d];
      fmt::print("{:>8g} {:>10g} {:>10.4f} {:>10.4f} .. {:>8.4f}\n", settings.etas[e], settings.deltas[d], found.mean,
                 found.low, found.high);
    }
}

/// A line on stderr now and then.
LyapunovProgress progress_lines() {
  auto next = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  return [next](std::int64_t done, std::int64_t all) mutable {
    if (std::chrono::steady_clock::now() < next) return;
    next = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    fmt::print(stderr, "lyapunov: {} of {} measures\n", done, all);
  };
}

void write_result(const Call& call, const std::vector<std::string>& hosts, const OptionTable& table,
                  const LyapunovOptions& o, const LyapunovSettings& settings, const LyapunovResult& result) {
  const fs::path run(o.run);
  make_folder(run);
  record_start(run, 1, {call.command_line, hosts, std::vector(hosts.size(), o.samples.device), 1});
  write_durably(run / "run.cfg", table.run_cfg());
  write_values(run / "lyapunov.h5", settings, result);
  write_durably(run / "result.json", as_json(settings, o, result));
  print_table(settings, result);
  fmt::print("result: {}\n", (run / "result.json").string());
  // The figures are there; they must not hang on a Python.
  try {
    run_python_script("launch/lyapunov/plot.py", {fs::absolute(run).string()});
    fmt::print("plot: {}\n", (run / "lyapunov.png").string());
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: warning: no plot: {}{}\n", error.what(),
               error.hint().empty() ? "" : fmt::format(" ({})", error.hint()));
  }
}

}  // namespace

int run_lyapunov(Call& call) {
  LyapunovOptions asked;
  OptionTable asked_table("lyapunov");
  bind(asked_table, asked);
  asked_table.parse(call.arguments);
  if (answer_questions(call, asked_table, kSummary)) return 0;
  LyapunovOptions options;
  OptionTable table("lyapunov");
  bind(table, options);
  (void)inspect_run(call.world, asked.run, false, asked_table, table);
  if (options.samples.run.empty())
    throw Error(ExitCode::usage, "--energy is missing", "name the folder of a run, or a file of weights");
  call.world.set_limit(options.watchdog_limit);
  const auto settings = configure(call.world, options);
  (void)table.run_cfg();  // refuses what run.cfg could not hold before anything is measured
  const OutputWatch watch(call.world, options.run);
  const auto result = measure_lyapunov(settings, call.world, progress_lines());
  const auto hosts = by_rank(call.world, "hosts", host_name());
  on_root_slowly(call.world, "write the result", [&] {
    write_result(call, hosts, table, options, settings, result);
    return std::string();
  });
  return 0;
}

}  // namespace langrun::launch
