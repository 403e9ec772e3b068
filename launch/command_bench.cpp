#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/networks/frozen_energy.h"
#include "distributed/agreement.h"
#include "jobs/bench.h"
#include "launch/bench_defend.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/version.h"

namespace langrun::launch {
namespace {

struct BenchOptions {
  BenchConfig config;
  BenchDefendOptions defend;
  std::string name = "all";
  std::string json;
};

struct Benchmark {
  const char* name;
  BenchReport (*measure)(const BenchConfig&, Communicator&);
  bool part_of_all;
};

constexpr Benchmark kBenchmarks[] = {
    {"noise", bench_noise, true},          {"langevin", bench_langevin, true}, {"train", bench_train, true},
    {"exchange", bench_exchange, true},    {"import", bench_import, true},     {"checkpoint", bench_checkpoint, true},
    {"precision", bench_precision, false}, {"defend", bench_defend, false},
};

std::vector<std::string> benchmark_names() {
  std::vector<std::string> names;
  for (const auto& benchmark : kBenchmarks) names.emplace_back(benchmark.name);
  return names;
}

/// Which benchmarks an option is of; the others refuse it. What is not here is everybody's.
constexpr std::pair<const char*, const char*> kOptionsOf[] = {
    {"network", "langevin, train"},
    {"width", "langevin, train"},
    {"precision", "langevin, train, defend"},
    {"batch", "noise, langevin, train, import, checkpoint, precision"},
    {"lanes", "langevin, train, checkpoint"},
    {"steps", "langevin"},
    {"repeats", "noise, langevin, train, exchange, import, checkpoint, defend"},
    {"threads", "langevin, train, import, checkpoint, precision, defend"},
    {"source", "import"},
    {"size", "import"},
    {"megabytes", "exchange"},
    {"chain-steps", "train, defend"},
    {"generator-width", "train"},
    {"checkpoint", "precision"},
    {"gigabytes", "checkpoint"},
    {"every", "checkpoint"},
    {"step-seconds", "checkpoint"},
    {"folder", "checkpoint"},
    {"energy", "defend"},
    {"eta", "defend"},
    {"classifier", "defend"},
    {"classifier-precision", "defend"},
    {"data", "defend"},
    {"images", "defend"},
    {"attack-steps", "defend"},
    {"attack-replicates", "defend"},
    {"defense-replicates", "defend"},
    {"eps", "defend"},
    {"alpha", "defend"},
    {"leaving", "defend"},
};

const char* owners_of(const std::string& key) {
  for (const auto& [name, owners] : kOptionsOf)
    if (name == key) return owners;
  return nullptr;
}

/// Adds options, each with the benchmarks it is of behind its help.
class BenchTable {
 public:
  explicit BenchTable(OptionTable& table) : table_(table) {}
  void integer(const char* key, std::int64_t& field, const char* unit, const char* help, Range<std::int64_t> range) {
    table_.integer(key, field, unit, with_owners(key, help), range);
  }
  void real(const char* key, double& field, const char* unit, const char* help, Range<double> range) {
    table_.real(key, field, unit, with_owners(key, help), range);
  }
  void text(const char* key, std::string& field, const char* help) { table_.text(key, field, with_owners(key, help)); }
  void choice(const char* key, std::string& field, std::vector<std::string> choices, const char* help) {
    table_.choice(key, field, std::move(choices), with_owners(key, help));
  }

 private:
  static std::string with_owners(const char* key, const char* help) {
    return fmt::format("{} ({})", help, owners_of(key));
  }
  OptionTable& table_;
};

void bind_defend_options(BenchTable& own, BenchDefendOptions& d) {
  own.text("energy", d.energy, "the energy: folder of a run, or a file of weights");
  own.real("eta", d.eta, "pixel range [-1, 1]", "step size of its chains; 0: the run's", {0, 1e3});
  own.text("classifier", d.classifier, "FILE[:network] of weights, a run of classify, or a TorchScript file");
  own.choice("classifier-precision", d.classifier_precision, {"fp32", "bf16"}, "of the classifier");
  own.text("data", d.data, "image store with labels");
  own.integer("images", d.images, "images", "how many, spread evenly over the store", {1, 1 << 24});
  own.integer("attack-steps", d.attack_steps, "steps", "N", {1, 100'000});
  own.integer("attack-replicates", d.attack_replicates, "chains", "H_adv", {1, 4095});
  own.integer("defense-replicates", d.defense_replicates, "chains", "H_def", {1, 4095});
  own.real("eps", d.eps, "/255", "radius of the ball", {0, 255});
  own.real("alpha", d.alpha, "/255", "step of the attack", {0, 255});
  own.choice("leaving", d.leaving, {"both", "on", "off"}, "whether images leave once they are broken");
}

OptionTable table_of(BenchOptions& options) {
  OptionTable table("bench");
  auto& config = options.config;
  table.positional("NAME", options.name,
                   fmt::format("{}, or all (but precision and defend)", fmt::join(benchmark_names(), ", ")), true);
  table.text("json", options.json, "file for the figures, as JSON; must not exist");
  table.choice("precision", config.precision, {"fp32", "bf16"},
               fmt::format("precision of our networks inside Langevin sampling; of defend both, where the processor "
                           "has both, unless given ({})",
                           owners_of("precision")));
  BenchTable own(table);
  own.text("network", config.network, "energy that chains run on");
  own.integer("width", config.width, "channels", "base width of the network; 0: the paper's", {0, 1 << 16});
  own.integer("batch", config.batch, "images", "chains or images side by side", {1, 1 << 20});
  own.integer("lanes", config.lanes, "calls", "calls that a batch is split into, as in training", {1, 1 << 16});
  own.integer("steps", config.steps, "steps", "Langevin steps of one measurement", {1, 1 << 20});
  own.integer("repeats", config.repeats, "measurements", "measurements of each figure; the median counts", {1, 10'000});
  own.integer("threads", config.threads, "threads", "compute threads of a rank", {1, 4096});
  own.text("source", config.source, "images to import; none: JPEGs of its own");
  own.integer("size", config.size, "pixels", "side that images are imported to", {8, 4096});
  own.integer("megabytes", config.megabytes, "MB", "size of the vector that ranks add", {1, 1000});
  own.integer("chain-steps", config.chain_steps, "steps",
              "Langevin steps of a training step; K of defend, 50 unless given", {1, 1 << 20});
  own.integer("generator-width", config.generator_width, "channels", "base width of the generator", {1, 1 << 16});
  own.text("checkpoint", config.checkpoint,
           "checkpoint folder of a run, RUN/checkpoint/STEP, whose energy is looked at");
  own.real("gigabytes", config.gigabytes, "GB", "size of the bank, over all ranks", {0.001, 1e6});
  own.integer("every", config.every, "steps", "steps that share a checkpoint", {1, 1 << 20});
  own.real("step-seconds", config.step_seconds, "s", "seconds of computing in one of these steps", {0.0001, 3600});
  own.text("folder", config.folder, "where a new folder for checkpoints is made; none: the current folder");
  bind_defend_options(own, options.defend);
  return table;
}

// An option that a benchmark does not know would be passed over in silence.
void refuse_foreign_options(const OptionTable& table, const std::string& name) {
  for (const auto& [key, owners] : kOptionsOf) {
    const auto list = fmt::format(", {},", owners);
    if (name == "all" || !table.given(key) || list.find(fmt::format(" {},", name)) != std::string::npos) continue;
    throw Error(ExitCode::usage, fmt::format("--{} is no option of bench {}", key, name),
                fmt::format("it is one of {}", owners));
  }
}

void refuse_unknown(const std::string& name) {
  auto names = benchmark_names();
  names.emplace_back("all");
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  const auto close = nearest(name, names);
  throw Error(
      ExitCode::usage, fmt::format("unknown benchmark '{}'", name),
      close.empty() ? fmt::format("one of {}", fmt::join(names, ", ")) : fmt::format("did you mean '{}'?", close));
}

/// What `bench defend` measures. Collective, all ranks.
void prepare_defend(Communicator& world, BenchOptions& options, const OptionTable& table) {
  auto& config = options.config;
  auto& defend = options.defend;
  if (table.given("chain-steps")) defend.chain_steps = config.chain_steps;
  defend.threads = config.threads;
  config.evaluation = bench_evaluation(world, defend);
  config.precisions = {config.precision};
  if (!table.given("precision") && processor_has_bf16()) config.precisions.emplace_back("bf16");
  if (defend.leaving != "both") config.leaving = {defend.leaving == "on"};
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string number(double value) {
  if (value >= 1e6) return fmt::format("{:.1f} M", value / 1e6);
  return fmt::format("{:.{}f}", value, value < 100 ? 3 : 0);
}

void print_table(const BenchReport& report) {
  fmt::print("{}", report.name);
  for (const auto& [key, value] : report.settings) fmt::print("  {} {}", key, value);
  fmt::print("\n  {:<60} {:>10} {:>10} {:>10} {:>14}  {}\n", "", "median", "low", "high", "by core time", "unit");
  for (const auto* figures : {&report.figures, &report.ratios}) {
    for (const auto& f : *figures) {
      const auto wall = spread_of(f.values);
      fmt::print("  {:<60} {:>10} {:>10} {:>10} {:>14}  {}\n", f.what, number(wall.median), number(wall.low),
                 number(wall.high), f.per_core_second.empty() ? "-" : number(spread_of(f.per_core_second).median),
                 f.unit);
    }
  }
  fmt::print("\n");
  std::fflush(stdout);
}

nlohmann::ordered_json json_of(const BenchFigure& figure) {
  const auto wall = spread_of(figure.values), core = spread_of(figure.per_core_second);
  return {{"what", figure.what},     {"unit", figure.unit},
          {"median", wall.median},   {"low", wall.low},
          {"high", wall.high},       {"median_by_core_time", core.median},
          {"values", figure.values}, {"values_by_core_time", figure.per_core_second}};
}

nlohmann::ordered_json json_of(const BenchReport& report) {
  nlohmann::ordered_json out{{"name", report.name}};
  for (const auto& [key, value] : report.settings) out["settings"][key] = value;
  for (const auto& figure : report.figures) out["figures"].push_back(json_of(figure));
  for (const auto& ratio : report.ratios) out["ratios"].push_back(json_of(ratio));
  return out;
}

[[noreturn]] void cannot_write(const std::string& path) {
  throw Error(ExitCode::storage, fmt::format("cannot write '{}'", path), "name a file in a folder that can be written");
}

// Before hours of measuring whose figures had no place.
void check_json(const std::string& path) {
  if (std::filesystem::exists(path))
    throw Error(ExitCode::usage, fmt::format("{} exists already", path),
                "nothing is written over; remove it or choose another name");
  const auto partial = path + ".partial";
  if (!std::ofstream(partial)) cannot_write(path);
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
}

void write_json(const std::string& path, const nlohmann::ordered_json& content) {
  // A name of its own until complete, so that a reader never meets half a file.
  const auto partial = path + ".partial";
  std::ofstream file(partial);
  file << content.dump(2) << '\n';
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(partial, path, failed);
  if (!file || failed) cannot_write(path);
}

}  // namespace

int run_bench(Call& call) {
  BenchOptions options;
  auto table = table_of(options);
  table.parse(call.arguments);
  const bool speaks = call.world.rank() == 0;
  if (answer_questions(call, table, "Measures this machine: ours and PyTorch's ways in turns, in one process."))
    return 0;
  refuse_unknown(options.name);
  refuse_foreign_options(table, options.name);
  agree(call.world, "look at the names", [&] {
    if (speaks && !options.json.empty()) check_json(options.json);
  });
  if (options.name == "defend") prepare_defend(call.world, options, table);
  nlohmann::ordered_json all{{"langrun", version()},
                             {"commit", commit()},
                             {"processor", processor()},
                             {"cores", std::thread::hardware_concurrency()},
                             {"command", call.command_line}};
  for (const auto& [name, measure, part_of_all] : kBenchmarks) {
    if (options.name != name && !(options.name == "all" && part_of_all)) continue;
    if (speaks) fmt::print(stderr, "measuring {} ...\n", name);
    const auto report = measure(options.config, call.world);
    if (speaks) print_table(report);
    all["benchmarks"].push_back(json_of(report));
  }
  if (speaks && !options.json.empty()) write_json(options.json, all);
  return 0;
}

}  // namespace langrun::launch
