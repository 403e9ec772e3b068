#include "launch/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "jobs/fact.h"
#include "launch/version.h"

namespace langrun::launch {
namespace {

using Json = nlohmann::ordered_json;

std::string size_text(double bytes) { return bytes_text(static_cast<std::uint64_t>(std::max(0.0, bytes))); }

std::string rate_text(double bytes_a_second) {
  return bytes_a_second < 1e8 ? fmt::format("{:.2f} MB/s", bytes_a_second / 1e6)
                              : fmt::format("{:.2f} GB/s", bytes_a_second / 1e9);
}

double batch_of(const JobPlan& plan) { return static_cast<double>(plan.batch); }

/// Bytes a second of all ranks, for a checkpoint within a scheduler's notice.
double notice_needed(const JobPlan& plan) { return plan.checkpoint_bytes / kNoticeSeconds; }

std::string memory_text(const JobPlan& plan) {
  std::string out = "\nmemory of rank 0\n";
  for (const bool on_gpu : {false, true}) {
    if (on_gpu && !plan.gpu) break;
    for (const auto& part : plan.memory)
      if (part.on_gpu == on_gpu)
        out += fmt::format("  {:<26} {:>14}\n", part.name + (on_gpu ? ", GPU" : ""), size_text(part.bytes));
    out += fmt::format("  {:<26} {:>14}\n", on_gpu ? "total on the GPU" : "total",
                       size_text(on_gpu ? plan.gpu_bytes() : plan.host_bytes()));
  }
  out += fmt::format("  {:<26} {:>14}\n", "any other rank", size_text(plan.host_bytes() - plan.other_ranks_less));
  if (plan.gpu)
    out += "  (libraries as on a processor: a CUDA context comes on top; GPU memory was never held against a GPU)\n";
  return out;
}

std::string traffic_text(const TimedPlan& timed) {
  const auto& plan = timed.plan;
  std::string out = "\na step\n";
  out +=
      fmt::format("  {:<26} {:>14}  {} float32 numbers\n", "exchanged, sent by a rank",
                  size_text(plan.exchanged_bytes(plan.ranks)), with_thousands(static_cast<std::int64_t>(plan.weights)));
  out += fmt::format("  {:<26} {:>14}  all ranks\n", "training images read", size_text(plan.read_bytes));
  if (plan.image_steps > 0)
    out += fmt::format("  {:<26} {:>14}  all ranks\n", "Langevin image-steps",
                       with_thousands(static_cast<std::int64_t>(plan.image_steps)));
  out += "\na checkpoint\n";
  out += fmt::format("  {:<26} {:>14}  rank 0 writes {}\n", "size, all ranks", size_text(plan.checkpoint_bytes),
                     size_text(plan.rank_checkpoint_bytes));
  out += fmt::format("  {:<26} {:>12.2f} s  at {}, beside training, every {} steps\n", "written in",
                     checkpoint_seconds(timed.model, batch_of(plan)), rate_text(timed.model.disk),
                     timed.model.checkpoint_every);
  return out;
}

std::string scaling_text(const char* title, const std::vector<ScalingPoint>& points) {
  std::string out = fmt::format("\n{}\n  {:>6} {:>8} {:>12} {:>10} {:>10} {:>14} {:>11}\n", title, "ranks", "batch",
                                "s a step", "computing", "exchange", "steps a day", "efficiency");
  for (const auto& point : points)
    out += fmt::format("  {:>6} {:>8} {:>12.4g} {:>10.4g} {:>10.4g} {:>14.0f} {:>10.1f}%\n", point.ranks, point.batch,
                       point.time.total(), point.time.sample + point.time.update, point.time.exchange,
                       point.steps_a_day, 100 * point.efficiency);
  return out;
}

std::string time_text(const TimedPlan& timed, std::int64_t training_steps) {
  const auto& plan = timed.plan;
  if (!timed.timed) return "\ntimes: give --throughput IMAGE_STEPS_PER_SECOND of a rank, or --measure\n";
  const auto time = step_time(timed.model, batch_of(plan), plan.ranks);
  const double total = time.total();
  std::string out = fmt::format("\ntime ({}, network {}, {:.3g} us a message, disk {})\n",
                                timed.measured ? "chains and updates as measured here" : "chains at the rate given",
                                rate_text(timed.model.network), timed.model.latency * 1e6, rate_text(timed.model.disk));
  const auto row = [&](const char* name, double seconds) {
    out += fmt::format("  {:<26} {:>12.4g} s\n", name, seconds);
  };
  row("sampling", time.sample);
  row("updates", time.update);
  row("exchange", time.exchange);
  row("waiting for checkpoints", time.checkpoint);
  row("a step", total);
  out += fmt::format("  {:<26} {:>12.0f}\n", "steps a day", 86400 / total);
  out += fmt::format("  {:<26} {:>12.2f} days\n", fmt::format("{} steps", training_steps),
                     total * static_cast<double>(training_steps) / 86400);
  out += "\nrates needed\n";
  out += fmt::format("  {:<26} {:>14}  sent by each rank, for the exchange to take {:.0f} % of the rest\n", "network",
                     rate_text(network_needed(timed.model, batch_of(plan), plan.ranks, kExchangeShare)),
                     100 * kExchangeShare);
  out += fmt::format("  {:<26} {:>14}  all ranks, for a checkpoint to be through before the next\n", "disk, writing",
                     rate_text(disk_needed(timed.model, batch_of(plan), plan.ranks)));
  out += fmt::format("  {:<26} {:>14}  all ranks, for one within {:.0f} s of a scheduler's notice\n", "",
                     rate_text(notice_needed(plan)), kNoticeSeconds);
  out +=
      fmt::format("  {:<26} {:>14}  all ranks, training images\n", "disk, reading", rate_text(plan.read_bytes / total));
  out += scaling_text("weak scaling: a rank keeps its images",
                      weak_scaling(timed.model, batch_of(plan) / static_cast<double>(plan.ranks)));
  out += scaling_text("strong scaling: one batch, shared out", strong_scaling(timed.model, batch_of(plan)));
  return out;
}

Json json_of(const std::vector<ScalingPoint>& points) {
  Json all = Json::array();
  for (const auto& point : points)
    all.push_back({{"ranks", point.ranks},
                   {"batch", point.batch},
                   {"seconds_sample", point.time.sample},
                   {"seconds_update", point.time.update},
                   {"seconds_exchange", point.time.exchange},
                   {"seconds_checkpoint", point.time.checkpoint},
                   {"seconds", point.time.total()},
                   {"steps_a_day", point.steps_a_day},
                   {"efficiency", point.efficiency}});
  return all;
}

void add_times(Json& json, const TimedPlan& timed, std::int64_t training_steps) {
  const auto& [plan, model, has_times, measured] = timed;
  const auto time = step_time(model, batch_of(plan), plan.ranks);
  json["throughput"] = {{"image_steps_per_second_a_rank", 1 / model.gradient_seconds},
                        {"update_seconds_an_image", model.update_seconds},
                        {"measured_here", measured}};
  json["step"] = {{"seconds_sample", time.sample},
                  {"seconds_update", time.update},
                  {"seconds_exchange", time.exchange},
                  {"seconds_checkpoint", time.checkpoint},
                  {"seconds", time.total()},
                  {"steps_a_day", 86400 / time.total()},
                  {"days", time.total() * static_cast<double>(training_steps) / 86400}};
  json["needed"] = {
      {"network_bytes_a_second_a_rank", network_needed(model, batch_of(plan), plan.ranks, kExchangeShare)},
      {"exchange_share", kExchangeShare},
      {"disk_write_bytes_a_second", disk_needed(model, batch_of(plan), plan.ranks)},
      {"disk_notice_bytes_a_second", notice_needed(plan)},
      {"notice_seconds", kNoticeSeconds},
      {"disk_read_bytes_a_second", plan.read_bytes / time.total()}};
  json["weak_scaling"] = json_of(weak_scaling(model, batch_of(plan) / static_cast<double>(plan.ranks)));
  json["strong_scaling"] = json_of(strong_scaling(model, batch_of(plan)));
}

}  // namespace

std::string plan_text(const TimedPlan& timed, std::int64_t training_steps) {
  const auto& plan = timed.plan;
  auto out = fmt::format("{} on {} ranks of {} threads: {} lanes of {} images of {} x {} x {}, {} a rank\n", plan.job,
                         plan.ranks, plan.threads, plan.lanes, plan.lane_batch, plan.image.channels, plan.image.height,
                         plan.image.width, plan.owned);
  for (const auto& sentence : plan.assumed) out += fmt::format("assumed: {}\n", sentence);
  return out + memory_text(plan) + traffic_text(timed) + time_text(timed, training_steps);
}

std::string plan_json(const TimedPlan& timed, std::int64_t training_steps, const std::vector<std::string>& command) {
  const auto& plan = timed.plan;
  Json memory = Json::array();
  for (const auto& part : plan.memory)
    memory.push_back({{"part", part.name},
                      {"bytes", static_cast<std::int64_t>(part.bytes)},
                      {"where", part.on_gpu ? "gpu" : "host"}});
  Json json{{"langrun", version()},
            {"commit", commit()},
            {"command", command},
            {"job", plan.job},
            {"ranks", plan.ranks},
            {"threads", plan.threads},
            {"lanes", plan.lanes},
            {"batch", plan.batch},
            {"lane_batch", plan.lane_batch},
            {"memory", memory},
            {"host_bytes", static_cast<std::int64_t>(plan.host_bytes())},
            {"host_bytes_other_ranks", static_cast<std::int64_t>(plan.host_bytes() - plan.other_ranks_less)},
            {"gpu_bytes", static_cast<std::int64_t>(plan.gpu_bytes())},
            {"weights", static_cast<std::int64_t>(plan.weights)},
            {"exchanged_bytes_a_rank_and_step", plan.exchanged_bytes(plan.ranks)},
            {"read_bytes_a_step", plan.read_bytes},
            {"image_steps_a_step", plan.image_steps},
            {"checkpoint",
             {{"bytes", plan.checkpoint_bytes},
              {"bytes_rank_0", plan.rank_checkpoint_bytes},
              {"seconds", checkpoint_seconds(timed.model, batch_of(plan))},
              {"every_steps", timed.model.checkpoint_every},
              {"keep", plan.checkpoint_keep}}}};
  json["assumed"] = {{"network_bytes_a_second_a_rank", timed.model.network},
                     {"latency_seconds", timed.model.latency},
                     {"disk_bytes_a_second", timed.model.disk},
                     {"job", plan.assumed}};
  if (timed.timed) add_times(json, timed, training_steps);
  return json.dump(2) + "\n";
}

}  // namespace langrun::launch
