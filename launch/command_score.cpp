// `langrun score A B`: Frechet distance of two stores.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/durable.h"
#include "jobs/score.h"
#include "launch/commands.h"
#include "launch/options.h"

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

}  // namespace

int run_score(Call& call) {
  ScoreConfig config;
  std::string json, classifier;
  OptionTable table("score");
  table.positional("A", config.a, "image store (HDF5)");
  table.positional("B", config.b, "image store (HDF5)");
  table.text(
      "features", config.features,
      "feature net: FILE[:network] of weights (HDF5, or PyTorch with :network), or a network's name with --classifier");
  table.text("classifier", classifier, "file of weights for a network that --features names");
  table.integer("count", config.count, "images", "images used of each store; 0: all of the smaller one", {0});
  table.choice("choice", config.choice, {"first", "random"},
               "which images: the first, or drawn by seed without repetition");
  table.integer("seed", config.seed, "", "seed of the random choice", {0});
  table.integer("block", config.block, "images", "images in one call of the network; results differ in their last bits",
                {1, 1 << 16});
  table.integer("threads", config.threads, "", "threads per rank", {1, 4096});
  table.text("json", json, "file for the result; must not exist", Keep::transient);
  table.parse(call.arguments);
  const bool speaks = call.world.rank() == 0;
  if (table.help_asked()) {
    if (speaks) fmt::print("{}", table.help("Frechet distance of two image stores in a network's features."));
    return 0;
  }
  if (table.dry_run()) {
    if (speaks) fmt::print("{}", table.run_cfg());
    return 0;
  }
  if (config.features.empty())
    throw Error(ExitCode::usage, "langrun score: --features is missing",
                "name the feature net: --features FILE[:network]");
  if (!classifier.empty()) config.features = classifier + ":" + config.features;
  std::error_code ignored;
  if (!json.empty() && std::filesystem::exists(json, ignored))
    throw Error(ExitCode::usage, fmt::format("{} exists already", json),
                "nothing is written over; remove it or choose another name");
  const auto result = score(config, call.world, progress_lines());
  if (speaks) {
    print_table(config, result);
    if (!json.empty()) write_durably(json, as_json(config, result));
  }
  call.world.barrier("score written");
  return 0;
}

}  // namespace langrun::launch
