#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <filesystem>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "jobs/bench.h"
#include "jobs/bench_folder.h"
#include "jobs/shortrun.h"
#include "jobs/synthesize.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

ShortrunConfig config_of(const BenchConfig& config, const fs::path& data) {
  ShortrunConfig run;
  run.training.data = data.string();
  run.training.batch = config.batch;
  run.training.lanes = config.lanes;
  run.training.threads = config.threads;
  run.training.device = "cpu";
  run.training.precision = config.precision;
  run.energy.network = config.network;
  run.energy.width = config.width;
  run.generator.network = "sngan32";
  run.generator.width = config.generator_width;
  run.langevin.steps = config.chain_steps;
  run.bank_size = 8 * config.batch;
  return run;
}

/// Seconds of one phase, as a figure: the slowest rank's of each measured step.
BenchFigure phase(const std::string& what, std::vector<double> seconds) { return {what, "s", std::move(seconds), {}}; }

double slowest(Communicator& world, double seconds) {
  std::int64_t nanoseconds = std::llround(1e9 * seconds);
  world.maximum("benchmark: phase", {&nanoseconds, 1});
  return 1e-9 * static_cast<double>(nanoseconds);
}

}  // namespace

BenchReport bench_train(const BenchConfig& config, Communicator& world) {
  if (make_energy(config_of(config, {}).energy, 1)->input().height != 32)
    throw Error(ExitCode::usage, fmt::format("bench train takes energies of 32x32 images, not {}", config.network),
                "light or sngan32");
  const BenchFolder scratch(world, "");
  const auto data = scratch.path() / "data.h5";
  synthesize(world, {data, std::max<std::int64_t>(1024, 2 * config.batch), 32, 1}, {});
  const auto job = make_shortrun(config_of(config, data), world);
  job->start();
  std::int64_t step = 0;
  StepRecord record;
  std::vector<double> sample, update, exchange;
  const auto one = [&] {
    record = job->step(++step);
    sample.push_back(record.seconds_sample.avg);
    update.push_back(record.seconds_update.avg);
    exchange.push_back(record.seconds_exchange.avg);
  };
  BenchReport report{"train",
                     {{"network", config.network},
                      {"width", std::to_string(config.width)},
                      {"generator width", std::to_string(config.generator_width)},
                      {"precision", config.precision},
                      {"batch", std::to_string(config.batch)},
                      {"lanes", std::to_string(config.lanes)},
                      {"steps", std::to_string(config.chain_steps)},
                      {"ranks", std::to_string(world.size())},
                      {"threads", std::to_string(config.threads)}},
                     {},
                     {}};
  const double work = static_cast<double>(config.batch * config.chain_steps) / world.size();
  report.figures = measure_in_turns({{"shortrun step", work, one}}, "image-steps/s", config.repeats, 0, world);
  // The last steps are the measured ones.
  const auto measured = [&](std::vector<double> seconds) {
    seconds.erase(seconds.begin(), seconds.end() - config.repeats);
    for (auto& value : seconds) value = slowest(world, value);
    return seconds;
  };
  std::vector<double> whole;
  for (const double rate : report.figures[0].values)
    whole.push_back(static_cast<double>(config.batch * config.chain_steps) / rate);
  report.figures.push_back(phase("a step", whole));
  report.figures.push_back(phase("of it sampling", measured(sample)));
  report.figures.push_back(phase("of it updates", measured(update)));
  report.figures.push_back(phase("of it exchange", measured(exchange)));
  return report;
}

}  // namespace langrun
