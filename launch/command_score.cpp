// `langrun score A B`: Frechet distance of two image stores, or of a run's samples and a store.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/sample.h"
#include "jobs/score.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/sample_store.h"
#include "launch/sampling.h"

namespace langrun::launch {
namespace {

std::string describe(const StoreFacts& store, const ScoreResult& result) {
  const bool resized = store.height != result.input_height || store.width != result.input_width;
  return fmt::format("{} ({} images of {}x{}{})", store.path, store.images, store.height, store.width,
                     resized ? fmt::format(", resized to {}x{}", result.input_height, result.input_width) : "");
}

void print_table(const ScoreConfig& config, const ScoreResult& result) {
  fmt::print("A          {}\nB          {}\n", describe(result.a, result), describe(result.b, result));
  fmt::print("images     {} of each, {}{}\n", result.count, config.choice,
             config.choice == "random" ? fmt::format(" (seed {})", config.seed) : "");
  fmt::print("features   {} of length {}, weights {} ({})\n", result.network, result.feature_length, result.weights,
             result.weights_checksum);
  fmt::print("distance   {:.6f}\n", result.distance);
}

std::string as_json(const ScoreConfig& config, const ScoreResult& result) {
  const auto store = [](const StoreFacts& facts) {
    return nlohmann::ordered_json{
        {"store", facts.path}, {"images", facts.images}, {"height", facts.height}, {"width", facts.width}};
  };
  nlohmann::ordered_json json;
  json["distance"] = result.distance;
  json["count"] = result.count;
  json["choice"] = config.choice;
  json["seed"] = config.seed;
  json["block"] = config.block;
  json["a"] = store(result.a);
  json["b"] = store(result.b);
  json["features"] = {{"network", result.network},           {"length", result.feature_length},
                      {"input_height", result.input_height}, {"input_width", result.input_width},
                      {"weights", result.weights},           {"checksum", result.weights_checksum}};
  json["seconds"] = result.seconds;
  return json.dump(2) + "\n";
}

/// A line on stderr now and then, for long scores.
ScoreProgress progress_lines() {
  auto next = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  return [next](std::int64_t done, std::int64_t all) mutable {
    if (std::chrono::steady_clock::now() < next) return;
    next = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    fmt::print(stderr, "score: {} of {} images\n", done, all);
  };
}

bool is_run(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::is_directory(name, ignored);
}

/// The store of a run's samples, made where it is not there yet. Its name says what it holds, so a second score of the
/// same samples finds them. Collective, all ranks.
std::string samples_of_run(Communicator& world, SampleRequest request, const std::string& run) {
  request.run = run;
  const auto config = configure_samples(world, request);
  const auto out = std::filesystem::path(run) / "samples" /
                   fmt::format("{}-{}-k{}-n{}-seed{}-call{}.h5",
                               config.weights == "initial" ? "initial" : config.checkpoint.filename().string(),
                               config.weights, config.langevin.steps, config.count, config.seed, config.call);
  if (on_root(world, "look for samples", [&] { return std::to_string(std::filesystem::exists(out)); }) == "1")
    return out.string();
  if (world.rank() == 0) {
    fmt::print(stderr, "score: sampling {} images of {} into {}\n", config.count, run, out.string());
    std::filesystem::create_directories(out.parent_path());
  }
  SampleStore store(config, out);
  sample_images(config, world,
                {[](std::int64_t) {},
                 [&](std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images) {
                   store.add(first, shape, images);
                 }});
  agree(world, "finish samples", [&] {
    if (world.rank() == 0) store.finish();
  });
  return out.string();
}

/// Where A or B is a run folder, the store of its samples stands in for it.
void sample_runs(Communicator& world, const SampleRequest& asked, ScoreConfig& config) {
  auto request = asked;
  request.count = config.count > 0 ? config.count : 5000;
  request.threads = config.threads;
  for (auto* name : {&config.a, &config.b})
    if (is_run(*name)) *name = samples_of_run(world, request, *name);
}

}  // namespace

int run_score(Call& call) {
  ScoreConfig config;
  std::string json, classifier;
  double watchdog_limit = 1800;
  OptionTable table("score");
  SampleRequest samples;
  table.positional("A", config.a, "image store (HDF5), or the folder of a run: its samples, kept in RUN/samples");
  table.positional("B", config.b, "the same");
  table.text(
      "features", config.features,
      "feature net: FILE[:network] of weights (HDF5, or PyTorch with :network), or a network's name with --classifier");
  table.text("classifier", classifier, "file of weights for a network that --features names");
  table.integer("count", config.count, "images",
                "images used of each store, and drawn of a run; 0: all of the smaller store, 5000 of a run", {0});
  table.choice("choice", config.choice, {"first", "random"},
               "which images: the first, or drawn by seed without repetition");
  table.integer("seed", config.seed, "", "seed of the random choice", {0});
  table.integer("block", config.block, "images", "images in one call of the network; results differ in their last bits",
                {1, 1 << 16});
  table.integer("threads", config.threads, "", "threads per rank", {1, 4096});
  table.integer("at", samples.at, "step", "of a run: checkpoint of this step; 0: the newest good one", {0});
  table.choice("weights", samples.weights, {"best", "average", "raw", "initial"},
               "of a run: best (the moving average where it is kept), average, raw weights, or those it began with");
  table.integer("langevin.steps", samples.steps, "steps",
                "of a run: K; -1: its evaluation.steps, or its langevin.steps", {-1, 100'000'000});
  table.real("watchdog.limit", watchdog_limit, "seconds", "longest wait in one collective; 0: for ever", {0});
  table.text("json", json, "file for the result; must not exist", Keep::transient);
  table.parse(call.arguments);
  if (answer_questions(
          call, table,
          "Frechet distance of two image stores, or of a run's samples and a store, in a network's features."))
    return 0;
  if (config.features.empty())
    throw Error(ExitCode::usage, "langrun score: --features is missing",
                "name the feature net: --features FILE[:network]");
  if (!classifier.empty()) config.features = classifier + ":" + config.features;
  std::error_code ignored;
  if (!json.empty() && std::filesystem::exists(json, ignored))
    throw Error(ExitCode::usage, fmt::format("{} exists already", json),
                "nothing is written over; remove it or choose another name");
  call.world.set_limit(watchdog_limit);
  sample_runs(call.world, samples, config);
  const auto result = score(config, call.world, progress_lines());
  if (call.world.rank() == 0) {
    print_table(config, result);
    if (!json.empty()) write_durably(json, as_json(config, result));
  }
  call.world.barrier("score written");
  return 0;
}

}  // namespace langrun::launch
