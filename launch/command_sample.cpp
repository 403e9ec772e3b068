// langrun sample
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "core/error.h"
#include "distributed/agreement.h"
#include "jobs/sample.h"
#include "launch/commands.h"
#include "launch/grid.h"
#include "launch/options.h"
#include "launch/sampling.h"
#include "launch/training_command.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

struct SampleOptions {
  SampleRequest samples;
  std::string out, picture;
  double watchdog_limit = 1800;
};

void bind(OptionTable& table, SampleOptions& o) {
  table.text("energy", o.samples.run, "folder of the run to sample");
  table.text("out", o.out, "image store (HDF5) to write the samples to; must not exist");
  table.text("picture", o.picture, "PNG grid of the first 64 samples");
  table.choice("weights", o.samples.weights, {"best", "average", "raw", "initial"},
               "best (the moving average where it is kept), average, raw weights, or those the run began with");
  table.integer("at", o.samples.at, "step", "checkpoint of this step; 0: the newest good one", {0});
  table.integer("count", o.samples.count, "images", "how many samples", {1, 100'000'000});
  table.integer("langevin.steps", o.samples.steps, "steps", "K; -1: the run's evaluation.steps, or its langevin.steps",
                {-1, 100'000'000});
  table.integer("call", o.samples.call, "images", "images a network call; part of the bits", {1, 65536});
  table.integer("seed", o.samples.seed, "", "seed of latents and chains", {0});
  table.integer("threads", o.samples.threads, "threads", "compute threads per rank", {1, 1024});
  table.real("watchdog.limit", o.watchdog_limit, "seconds", "longest wait in one collective; 0: for ever", {0});
  table.choice("device", o.samples.device, {"auto", "cpu", "cuda"}, "where to compute");
}

void check_names(Communicator& world, const SampleOptions& o) {
  if (o.samples.run.empty()) throw Error(ExitCode::usage, "--energy is missing", "name the folder of a run");
  if (o.out.empty() && o.picture.empty())
    throw Error(ExitCode::usage, "neither --out nor --picture is given", "name a file for the samples");
  if (o.out == o.picture)
    throw Error(ExitCode::usage, fmt::format("--out and --picture both name {}", o.out), "give each a name of its own");
  agree(world, "look at the names", [&] {
    if (world.rank() != 0) return;
    for (const auto& file : {o.out, o.picture})
      if (!file.empty() && fs::exists(file))
        throw Error(ExitCode::usage, fmt::format("{} exists already", file),
                    "nothing is written over; choose another name");
  });
}

void draw_samples(const SampleConfig& config, const ImageShape& shape, const std::vector<std::uint8_t>& bytes,
                  const fs::path& path) {
  std::vector<float> pixels;
  for (const auto byte : bytes) pixels.push_back(static_cast<float>(byte) / 127.5f - 1.0f);
  const auto count = static_cast<std::int64_t>(bytes.size()) / shape.elements();
  const auto title =
      fmt::format("{} weights, step {}, K {}", config.weights,
                  config.weights == "initial" ? "0" : config.checkpoint.filename().string(), config.langevin.steps);
  write_png(path, draw_grid({{title, pixels, count, shape, true}}));
}

}  // namespace

int run_sample(Call& call) {
  SampleOptions options;
  OptionTable table("sample");
  bind(table, options);
  table.parse(call.arguments);
  if (answer_questions(call, table, "Samples of a trained run: fresh starts, then K Langevin steps under its energy."))
    return 0;
  call.world.set_limit(options.watchdog_limit);
  check_names(call.world, options);
  const auto config = configure_samples(call.world, options.samples);
  std::optional<SampleStore> store;
  if (!options.out.empty()) store.emplace(config, options.out);
  std::vector<std::uint8_t> shown;
  ImageShape shape;
  sample_images(
      config, call.world, [&](std::int64_t first, const ImageShape& each, const std::vector<std::uint8_t>& images) {
        if (store) store->add(first, each, images);
        shape = each;
        const auto wanted = static_cast<std::size_t>(64 * each.elements());
        if (shown.size() < wanted)
          shown.insert(shown.end(), images.begin(),
                       images.begin() + static_cast<std::ptrdiff_t>(std::min(images.size(), wanted - shown.size())));
      });
  agree(call.world, "finish samples", [&] {
    if (call.world.rank() != 0) return;
    if (store) store->finish();
    if (!options.picture.empty()) draw_samples(config, shape, shown, options.picture);
    fmt::print("{} samples, {} weights of {}, K {}\n", config.count, config.weights, config.checkpoint.string(),
               config.langevin.steps);
  });
  return 0;
}

}  // namespace langrun::launch
