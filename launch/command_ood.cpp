// langrun ood
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "distributed/agreement.h"
#include "jobs/ood.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/provenance.h"
#include "launch/python.h"
#include "launch/questions.h"
#include "launch/run_folder.h"
#include "launch/run_watch.h"
#include "launch/sampling.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSummary =
    "How well an energy tells images it was trained on from others: AUROC of H(x) against stores, folders, noise, "
    "constant and permuted images, in one table.";

struct OodOptions {
  std::string job = "ood";
  SampleRequest samples;
  std::string data, against, synthetic = "noise,constant,permuted";
  std::string run;
  bool resize = false;
  std::int64_t count = 0, call = 50;
  double watchdog_limit = 1800;
};

void bind(OptionTable& table, OodOptions& o) {
  table.choice("job", o.job, {"ood"}, "the command that a configuration file is of");
  table.text("run", o.run, "folder for the result; made if it is missing", Keep::transient);
  table.text("energy", o.samples.run,
             "the energy: folder of a run (of any job that trains one), a file of weights, or TorchScript that returns "
             "energies");
  table.integer("energy.size", o.samples.size, "pixels", "TorchScript: side of the images that the energy takes",
                {0, 65536});
  table.choice("weights", o.samples.weights, {"best", "average", "raw", "initial"},
               "best (the moving average where it is kept), average, raw weights, or those the run began with");
  table.integer("at", o.samples.at, "step", "of a run: checkpoint of this step; 0: the newest good one", {0});
  table.choice("precision", o.samples.precision, {"run", "fp32", "tf32", "bf16"},
               "of the network; run: as the run's, of a file fp32");
  table.text("data", o.data, "images in distribution: a store, folder or tar, such as the test set");
  table.text("against", o.against, "other images: stores, folders or tars, with commas between");
  table.text("synthetic", o.synthetic,
             "images made up, as many as those in distribution, with commas between: noise (uniform), constant (one "
             "colour), permuted (the images in distribution, pixels in another order); none");
  table.flag("resize", o.resize, "fit images of another size to the energy's (short side, then the middle)");
  table.integer("count", o.count, "images", "of each set, drawn by the seed without replacement; 0: all", {0});
  table.integer("call", o.call, "images", "images a network call; part of the bits", {1, 65536});
  table.integer("seed", o.samples.seed, "", "seed of what is drawn and made up", {0});
  table.integer("threads", o.samples.threads, "threads", "compute threads per rank", {1, 1024});
  table.choice("device", o.samples.device, {"auto", "cpu", "cuda"}, "where to compute");
  table.real("watchdog.limit", o.watchdog_limit, "seconds", "longest wait in one collective; 0: for ever", {0});
}

std::vector<std::string> listed(const std::string& text) {
  std::vector<std::string> items;
  std::size_t first = 0;
  while (first < text.size()) {
    const auto comma = std::min(text.find(',', first), text.size());
    if (comma > first) items.push_back(text.substr(first, comma - first));
    first = comma + 1;
  }
  return items;
}

OodSet made_up(const std::string& name) {
  if (name == "noise") return {OodSet::Kind::noise, name};
  if (name == "constant") return {OodSet::Kind::constant, name};
  if (name == "permuted") return {OodSet::Kind::permuted, name};
  throw Error(ExitCode::usage, fmt::format("--synthetic {}: expected noise, constant, permuted or none", name));
}

OodConfig configure(Communicator& world, OodOptions& o) {
  if (o.samples.run.empty())
    throw Error(ExitCode::usage, "--energy is missing", "name the folder of a run, or a file of weights");
  if (o.data.empty()) throw Error(ExitCode::usage, "--data is missing", "name the images in distribution");
  OodConfig config;
  for (const auto& path : listed(o.against)) config.sets.push_back({OodSet::Kind::images, path});
  if (o.synthetic != "none")
    for (const auto& name : listed(o.synthetic)) config.sets.push_back(made_up(name));
  if (config.sets.empty())
    throw Error(ExitCode::usage, "neither --against nor --synthetic names any images", "name what to tell apart");
  std::set<std::string> names;
  for (const auto& set : config.sets)
    if (!names.insert(set.name).second) throw Error(ExitCode::usage, fmt::format("{} is named twice", set.name));
  // No chains: of these the energy needs nothing.
  o.samples.source = "noise";
  o.samples.eta = o.samples.temperature = 1;
  const auto samples = resolve_samples(world, o.samples);
  config.energy = samples.energy;
  config.data = o.data;
  config.resize = o.resize;
  config.count = o.count;
  config.seed = o.samples.seed;
  config.call = o.call;
  config.threads = o.samples.threads;
  config.device = o.samples.device;
  return config;
}

std::string as_json(const OodOptions& o, const OodConfig& config, const OodResult& result) {
  Json json{{"energy", o.samples.run},
            {"weights", o.samples.weights},
            {"checkpoint", o.samples.at},
            {"data", config.data},
            {"images", result.in.size()},
            {"seed", config.seed},
            {"call", config.call},
            {"precision", config.energy.precision},
            {"interval", "95 %, DeLong on the logit scale"},
            {"sets", Json::array()}};
  for (std::size_t i = 0; i < config.sets.size(); ++i)
    json["sets"].push_back({{"name", config.sets[i].name},
                            {"images", result.out[i].size()},
                            {"auroc", result.aurocs[i].value},
                            {"low", result.aurocs[i].low},
                            {"high", result.aurocs[i].high}});
  return json.dump(2) + "\n";
}

void write_energies(const fs::path& path, const OodConfig& config, const OodResult& result) {
  const fs::path partial = path.string() + ".partial";
  std::error_code ignored;
  fs::remove(partial, ignored);
  auto file = h5::File::create(partial);
  std::vector<std::string> names{config.data};
  file.write("/in", {result.in.size()}, result.in.data());
  for (std::size_t i = 0; i < result.out.size(); ++i) {
    names.push_back(config.sets[i].name);
    file.write(fmt::format("/out-{}", i), {result.out[i].size()}, result.out[i].data());
  }
  file.write_attribute("/", "names", names);
  file.close();
  sync_path(partial);
  rename_durably(partial, path);
}

void print_table(const OodConfig& config, const OodResult& result) {
  fmt::print("{:<40} {:>8} {:>8} {:>20}\n", "against", "images", "AUROC", "95 %");
  for (std::size_t i = 0; i < config.sets.size(); ++i)
    fmt::print("{:<40} {:>8} {:>8.4f} {:>9.4f} .. {:>7.4f}\n", config.sets[i].name, result.out[i].size(),
               result.aurocs[i].value, result.aurocs[i].low, result.aurocs[i].high);
}

OodProgress progress_lines() {
  auto next = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  return [next](std::int64_t done, std::int64_t all) mutable {
    if (std::chrono::steady_clock::now() < next) return;
    next = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    fmt::print(stderr, "ood: {} of {} images\n", done, all);
  };
}

void write_result(const Call& call, const std::vector<std::string>& hosts, const OptionTable& table,
                  const OodOptions& o, const OodConfig& config, const OodResult& result) {
  const fs::path run(o.run);
  make_folder(run);
  record_start(run, 1, {call.command_line, hosts, std::vector(hosts.size(), o.samples.device), 1});
  write_durably(run / "run.cfg", table.run_cfg());
  write_energies(run / "ood.h5", config, result);
  write_durably(run / "result.json", as_json(o, config, result));
  print_table(config, result);
  fmt::print("result: {}\n", (run / "result.json").string());
  // The figures are there; they must not hang on a Python.
  try {
    run_python_script("launch/ood/plot.py", {fs::absolute(run).string()});
    fmt::print("plot: {}\n", (run / "ood.png").string());
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: warning: no plot: {}{}\n", error.what(),
               error.hint().empty() ? "" : fmt::format(" ({})", error.hint()));
  }
}

}  // namespace

int run_ood(Call& call) {
  OodOptions asked;
  OptionTable asked_table("ood");
  bind(asked_table, asked);
  asked_table.parse(call.arguments);
  if (answer_questions(call, asked_table, kSummary)) return 0;
  OodOptions options;
  OptionTable table("ood");
  bind(table, options);
  (void)inspect_run(call.world, asked.run, false, asked_table, table);
  call.world.set_limit(options.watchdog_limit);
  const auto config = configure(call.world, options);
  (void)table.run_cfg();  // refuses what run.cfg could not hold before anything is measured
  const OutputWatch watch(call.world, options.run);
  const auto result = measure_ood(config, call.world, progress_lines());
  const auto hosts = by_rank(call.world, "hosts", host_name());
  on_root_slowly(call.world, "write the result", [&] {
    write_result(call, hosts, table, options, config, result);
    return std::string();
  });
  return 0;
}

}  // namespace langrun::launch
