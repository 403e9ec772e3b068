#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "jobs/bench.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/version.h"

namespace langrun::launch {
namespace {

struct BenchOptions {
  BenchConfig config;
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
    {"precision", bench_precision, false},
};

std::vector<std::string> benchmark_names() {
  std::vector<std::string> names;
  for (const auto& benchmark : kBenchmarks) names.emplace_back(benchmark.name);
  return names;
}

OptionTable table_of(BenchOptions& options) {
  OptionTable table("bench");
  auto& config = options.config;
  table.positional("NAME", options.name, fmt::format("{}, or all (but precision)", fmt::join(benchmark_names(), ", ")),
                   true);
  table.text("json", options.json, "file for the figures, as JSON");
  table.text("network", config.network, "energy that chains run on (langevin, train)");
  table.integer("width", config.width, "channels", "base width of the network; 0: the paper's", {0, 1 << 16});
  table.choice("precision", config.precision, {"fp32", "bf16"}, "of our networks inside Langevin sampling");
  table.integer("batch", config.batch, "images", "chains side by side", {1, 1 << 20});
  table.integer("lanes", config.lanes, "calls", "calls that a batch is split into, as in training", {1, 1 << 16});
  table.integer("steps", config.steps, "steps", "Langevin steps of one measurement (langevin)", {1, 1 << 20});
  table.integer("repeats", config.repeats, "measurements", "of each figure; the median counts", {1, 10'000});
  table.integer("threads", config.threads, "threads", "of a rank (langevin, train, import; noise is measured on one)",
                {1, 4096});
  table.text("source", config.source, "images to import (import); none: JPEGs of its own");
  table.integer("size", config.size, "pixels", "that images are imported to (import)", {8, 4096});
  table.integer("megabytes", config.megabytes, "MB", "of the vector that ranks add (exchange)", {1, 1000});
  table.integer("chain-steps", config.chain_steps, "steps", "Langevin steps of a training step (train)", {1, 1 << 20});
  table.integer("generator-width", config.generator_width, "channels", "base width of the generator (train)",
                {1, 1 << 16});
  table.text("checkpoint", config.checkpoint, "of a run, whose energy is looked at (precision)");
  table.real("gigabytes", config.gigabytes, "GB", "bank of all ranks (checkpoint)", {0.001, 1e6});
  table.integer("every", config.every, "steps", "that share a checkpoint", {1, 1 << 20});
  table.real("step-seconds", config.step_seconds, "s", "of computing in one of them", {0.0001, 3600});
  table.text("folder", config.folder, "where checkpoints are written, into a new folder; empty: here");
  return table;
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
  fmt::print("\n  {:<44} {:>10} {:>10} {:>10} {:>14}  {}\n", "", "median", "low", "high", "by core time", "unit");
  for (const auto* figures : {&report.figures, &report.ratios}) {
    for (const auto& f : *figures) {
      const auto wall = spread_of(f.values);
      fmt::print("  {:<44} {:>10} {:>10} {:>10} {:>14}  {}\n", f.what, number(wall.median), number(wall.low),
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

void write_json(const std::string& path, const nlohmann::ordered_json& content) {
  // A name of its own until complete, so that a reader never meets half a file.
  const auto partial = path + ".partial";
  std::ofstream file(partial);
  file << content.dump(2) << '\n';
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(partial, path, failed);
  if (!file || failed) {
    throw Error(ExitCode::storage, fmt::format("cannot write '{}'", path),
                "name a file in a folder that can be written");
  }
}

}  // namespace

int run_bench(Call& call) {
  BenchOptions options;
  auto table = table_of(options);
  table.parse(call.arguments);
  const bool speaks = call.world.rank() == 0;
  if (answer_questions(call, table, "Measures this machine: ours and PyTorch's ways in turns, in one process."))
    return 0;
  if (!options.json.empty() && std::filesystem::exists(options.json))
    throw Error(ExitCode::usage, fmt::format("{} exists already", options.json),
                "nothing is written over; remove it or choose another name");
  nlohmann::ordered_json all{{"langrun", version()},
                             {"commit", commit()},
                             {"processor", processor()},
                             {"cores", std::thread::hardware_concurrency()},
                             {"command", call.command_line}};
  bool found = false;
  for (const auto& [name, measure, part_of_all] : kBenchmarks) {
    if (options.name != name && !(options.name == "all" && part_of_all)) continue;
    found = true;
    const auto report = measure(options.config, call.world);
    if (speaks) print_table(report);
    all["benchmarks"].push_back(json_of(report));
  }
  if (!found) {
    auto names = benchmark_names();
    names.emplace_back("all");
    const auto close = nearest(options.name, names);
    throw Error(
        ExitCode::usage, fmt::format("unknown benchmark '{}'", options.name),
        close.empty() ? fmt::format("one of {}", fmt::join(names, ", ")) : fmt::format("did you mean '{}'?", close));
  }
  if (speaks && !options.json.empty()) write_json(options.json, all);
  return 0;
}

}  // namespace langrun::launch
