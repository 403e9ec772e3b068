// langrun doctor
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/doctor.h"
#include "launch/commands.h"
#include "launch/equal_ranks.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/version.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSummary =
    "Looks at where a job is to run, under the mpirun or srun that will start it: versions, processors, GPUs, network, "
    "run folder, clocks, limits, data. One line each: ok, slow or broken, what was found, what to do.";

struct DoctorOptions {
  DoctorConfig config;
  std::string plan, json;
  double link_megabytes = 4, folder_megabytes = 32;
  double free = 0, memory = 0, network = 0, disk = 0;  // GB, GB, GB/s, GB/s
};

void bind(OptionTable& table, DoctorOptions& o) {
  auto& c = o.config;
  table.text("run", c.run, "folder that the run is to have; empty: not looked at");
  table.text("data", c.data, "image store; empty: not looked at");
  table.text("plan", o.plan, "what the job needs: a file of `langrun plan --json`");
  table.choice("device", c.device, {"auto", "cpu", "cuda"}, "where the job is to compute");
  table.integer("threads", c.threads, "threads", "compute threads per rank", {1, 1024});
  table.real("limit", c.limit, "seconds", "that a rank waits for another's answer, or for a file to be seen",
             {0.1, 3600});
  table.integer("rounds", c.rounds, "rounds",
                "of pairs at most; in each every rank is measured with one other, so that 63 see all pairs of 64 ranks",
                {1, 1 << 16});
  table.real("link-megabytes", o.link_megabytes, "MB", "of a large message between two ranks", {0.001, 1000});
  table.real("folder-megabytes", o.folder_megabytes, "MB", "that a rank writes into the run folder and reads",
             {0.001, 1e6});
  table.real("memory", o.memory, "GB", "that a rank needs; 0: as --plan says, or not known", {0});
  table.real("free", o.free, "GB", "that the run folder needs; 0: as --plan says, or not known", {0});
  table.real("disk", o.disk, "GB/s", "that all ranks together have to write; 0: likewise", {0});
  table.real("network", o.network, "GB/s", "that a rank has to send to another host; 0: likewise", {0});
  table.text("json", o.json, "file for the findings, as JSON; must not exist");
}

/// Needs as the plan says them. Throws Error(input) for a file that is no plan, Error(usage) for one of other ranks.
void take_plan(DoctorOptions& o, int ranks) {
  constexpr const char* kHint = "write one with `langrun plan JOB ... --json FILE`";
  const auto text = read_text(o.plan);
  try {
    const auto plan = Json::parse(text);
    auto& c = o.config;
    if (plan.at("ranks").get<int>() != ranks)
      throw Error(ExitCode::usage,
                  fmt::format("{} is a plan of {} ranks, and here are {}", o.plan, plan.at("ranks").get<int>(), ranks),
                  "start as many, or plan anew");
    c.memory_needed = plan.at("host_bytes").get<double>();
    const auto& checkpoint = plan.at("checkpoint");
    // While one is written, all those that are kept are there.
    c.folder.free = checkpoint.at("bytes").get<double>() * (checkpoint.at("keep").get<double>() + 1);
    if (plan.contains("needed")) {
      const auto& needed = plan["needed"];
      c.folder.write = needed.at("disk_write_bytes_a_second").get<double>();
      // Older plans do not say it.
      c.folder.notice = needed.value("disk_notice_bytes_a_second", 0.0);
      c.network_needed = needed.at("network_bytes_a_second_a_rank").get<double>();
      c.read_needed = needed.at("disk_read_bytes_a_second").get<double>();
    }
  } catch (const Json::exception& failure) {
    throw Error(ExitCode::input, fmt::format("{} is not a plan: {}", o.plan, failure.what()), kHint);
  }
}

/// What was given wins over the plan.
void settle(DoctorOptions& o, int ranks) {
  auto& c = o.config;
  c.program = fmt::format("{} ({})", version(), commit());
  c.link_bytes = o.link_megabytes * 1e6;
  c.folder_bytes = o.folder_megabytes * 1e6;
  if (!o.plan.empty()) take_plan(o, ranks);
  if (o.memory > 0) c.memory_needed = o.memory * 1e9;
  if (o.free > 0) c.folder.free = o.free * 1e9;
  if (o.disk > 0) {
    c.folder.write = o.disk * 1e9;
    c.folder.notice = 0;
  }
  if (o.network > 0) c.network_needed = o.network * 1e9;
  if (!o.json.empty() && fs::exists(o.json))
    throw Error(ExitCode::usage, fmt::format("{} exists", o.json), "name a new file");
}

void print_finding(const Finding& finding) {
  fmt::print("{:<7} {:<11} {}{}\n", health_name(finding.health), finding.check, finding.found,
             finding.advice.empty() ? "" : " -> " + finding.advice);
  std::fflush(stdout);
}

std::string json_of(const std::vector<Finding>& findings, int ranks) {
  Json checks = Json::array();
  for (const auto& finding : findings)
    checks.push_back({{"check", finding.check},
                      {"verdict", health_name(finding.health)},
                      {"found", finding.found},
                      {"advice", finding.advice}});
  const Json json{{"langrun", version()},
                  {"commit", commit()},
                  {"ranks", ranks},
                  {"exit", static_cast<int>(exit_code(findings))},
                  {"checks", checks}};
  return json.dump(2) + "\n";
}

}  // namespace

int run_doctor(Call& call) {
  DoctorOptions options;
  OptionTable table("doctor");
  bind(table, options);
  table.parse(call.arguments);
  if (answer_questions(call, table, kSummary)) return 0;
  // Waits add up: a rank may come from a round with one that did not answer.
  call.world.set_limit(4 * options.config.limit + 60);
  refuse_unequal_ranks(call.world, table, Versions::left);
  // The plan is where the job was thought of, which may be one host alone.
  const auto needs = on_root(call.world, "read the plan", [&] {
    settle(options, call.world.size());
    const auto& c = options.config;
    return fmt::format("{} {} {} {} {} {}", c.memory_needed, c.folder.free, c.folder.write, c.folder.notice,
                       c.network_needed, c.read_needed);
  });
  auto& config = options.config;
  if (call.world.rank() != 0) {
    options.plan.clear();
    options.json.clear();
    settle(options, call.world.size());
    std::istringstream in(needs);
    in >> config.memory_needed >> config.folder.free >> config.folder.write >> config.folder.notice >>
        config.network_needed >> config.read_needed;
  }
  const bool speaks = call.world.rank() == 0;
  const auto findings = examine(config, call.world, [&](const Finding& finding) {
    if (speaks) print_finding(finding);
  });
  agree(call.world, "write the findings", [&] {
    if (speaks && !options.json.empty()) write_durably(options.json, json_of(findings, call.world.size()));
  });
  return static_cast<int>(exit_code(findings));
}

}  // namespace langrun::launch
