// `langrun score A B`: Frechet distance of two image stores, or of a run's samples and a store.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/sample.h"
#include "jobs/score.h"
#include "jobs/weights_source.h"
#include "launch/commands.h"
#include "launch/equal_ranks.h"
#include "launch/options.h"
#include "launch/passed_over.h"
#include "launch/questions.h"
#include "launch/run_watch.h"
#include "launch/sample_store.h"
#include "launch/sampling.h"
#include "launch/score_output.h"

namespace langrun::launch {
namespace {

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

/// A run that was rolled back passes the same steps again, with other weights: then the attempt is named too.
std::string checkpoint_in_name(Communicator& world, const std::filesystem::path& folder) {
  return on_root(world, "read the manifest", [&] {
    const auto attempt = read_manifest(folder).attempt;
    return folder.filename().string() + (attempt > 0 ? fmt::format("-attempt{}", attempt) : "");
  });
}

/// The store of a run's samples, made where it is not there yet. Its name says what it holds, so a second score of the
/// same samples finds them. Collective, all ranks.
std::string samples_of_run(Communicator& world, SampleRequest request, const std::string& run) {
  request.run = run;
  const auto config = configure_samples(world, request);
  const auto out = std::filesystem::path(run) / "samples" /
                   fmt::format("{}-{}-k{}-n{}-seed{}-call{}.h5",
                               config.weights == "initial" ? "initial" : checkpoint_in_name(world, config.checkpoint),
                               config.weights, config.langevin.steps, config.count, config.seed, config.call);
  if (on_root(world, "look for samples", [&] { return std::to_string(std::filesystem::exists(out)); }) == "1")
    return out.string();
  if (world.rank() == 0) {
    fmt::print(stderr, "score: sampling {} images of {} into {}\n", config.count, run, out.string());
    std::filesystem::create_directories(out.parent_path());
  }
  SampleStore store(config, out);
  sample_images(
      config, world,
      {[](std::int64_t) {}, [&](std::int64_t first, const ImageShape& shape,
                                const std::vector<std::uint8_t>& images) { store.add(first, shape, images); }});
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

struct ScoreOptions {
  ScoreConfig score;
  SampleRequest samples;
  std::string json, picture, classifier;
  double watchdog_limit = 1800;
};

void bind_images(OptionTable& table, ScoreOptions& o) {
  auto& config = o.score;
  table.positional(
      "A", config.a,
      "image store (HDF5), the folder of a run: its samples, kept in RUN/samples; or a file of statistics");
  table.positional("B", config.b, "the same; none with --statistics", true);
  table.integer("count", config.count, "images",
                "images used of each store, and drawn of a run; 0: all of the smaller store, 5000 of a run", {0});
  table.choice("choice", config.choice, {"first", "random"},
               "which images: the first, or drawn by seed without repetition");
  table.integer("seed", config.seed, "", "seed of the random choice and of resampling", {0});
  table.integer("at", o.samples.at, "step", "of a run: checkpoint of this step; 0: the newest good one", {0});
  table.choice("weights", o.samples.weights, {"best", "average", "raw", "initial"},
               "of a run: best (the moving average where it is kept), average, raw weights, or those it began with");
  table.integer("langevin.steps", o.samples.steps, "steps",
                "of a run: K; -1: its evaluation.steps, or its langevin.steps", {-1, 100'000'000});
}

void bind_features(OptionTable& table, ScoreOptions& o) {
  auto& net = o.score.features;
  table.text("features", net.file,
             "feature net: a run folder of classify, FILE[:network] of weights (HDF5, or PyTorch with :network), a "
             "TorchScript file, or a network's name with --classifier");
  table.text("classifier", o.classifier, "file of weights for a network that --features names");
  table.integer("features.size", net.size, "pixels",
                "of TorchScript: side of the square images it takes; 0: as they are", {0, 4096});
  table.choice("features.range", net.range, {"none", "-1:1", "0:1", "0:255", "imagenet"},
               "of TorchScript: values it takes; imagenet: 0:1, less ImageNet's mean and by its deviation");
  table.integer("block", o.score.block, "images",
                "images in one call of the network; results differ in their last bits", {1, 1 << 16});
  table.integer("threads", o.score.threads, "", "threads per rank", {1, 4096});
}

void bind_results(OptionTable& table, ScoreOptions& o) {
  auto& config = o.score;
  table.text("statistics", config.statistics,
             "file to keep the statistics of A's features in, for later scores; must not exist", Keep::transient);
  table.integer("resamples", config.resamples, "resamples",
                "of the images, for a 95 % interval of the distance; 0: none", {0, 1'000'000});
  table.flag("ssim", config.ssim, "structural similarity of image i of A and image i of B");
  table.integer("neighbours", config.neighbours, "images",
                "how many of A's first images the nearest of all of B are looked for, in pixels and in features", {0});
  table.text("picture", o.picture, "PNG of these neighbours; must not exist", Keep::transient);
  table.text("json", o.json, "file for the result; must not exist", Keep::transient);
  table.real("watchdog.limit", o.watchdog_limit, "seconds", "longest wait in one collective; 0: for ever", {0});
}

void check_files(const ScoreOptions& o) {
  if (!o.picture.empty() && o.score.neighbours == 0)
    throw Error(ExitCode::usage, "--picture without --neighbours", "say of how many images: --neighbours N");
  std::error_code ignored;
  for (const auto& file : {o.json, o.picture, o.score.statistics})
    if (!file.empty() && std::filesystem::exists(file, ignored))
      throw Error(ExitCode::usage, fmt::format("{} exists already", file),
                  "nothing is written over; remove it or choose another name");
}

/// Of a run of classify its weights. Looked at before samples are drawn, which takes its time.
void find_features(Communicator& world, FeatureNetConfig& net) {
  if (net.file.empty()) return;
  const auto folder = on_root(world, "look at the feature net", [&] { return is_run(net.file) ? "folder" : ""; });
  if (!folder.empty()) net.file = find_weights(world, net.file, "feature net", false, warn_of_passed_over);
  agree(world, "open the feature net", [&] { check_feature_net(net); });
}

// Beside which signs of life are left; empty where the result goes to the terminal alone.
std::string first_output(const ScoreOptions& o) {
  for (const auto& file : {o.json, o.picture, o.score.statistics})
    if (!file.empty()) return file;
  return {};
}

}  // namespace

int run_score(Call& call) {
  ScoreOptions o;
  OptionTable table("score");
  bind_images(table, o);
  bind_features(table, o);
  bind_results(table, o);
  table.parse(call.arguments);
  if (answer_questions(call, table,
                       "Two image stores, or a run's samples and a store: Frechet distance in a network's features, "
                       "structural similarity, nearest neighbours."))
    return 0;
  if (!o.classifier.empty()) o.score.features.file = o.classifier + ":" + o.score.features.file;
  check_score(o.score);
  check_files(o);
  call.world.set_limit(o.watchdog_limit);
  refuse_unequal_ranks(call.world, table);
  const OutputWatch watch(call.world, first_output(o));
  find_features(call.world, o.score.features);
  sample_runs(call.world, o.samples, o.score);
  const auto result = score(o.score, call.world, progress_lines());
  agree(call.world, "score written", [&] {
    if (call.world.rank() != 0) return;
    fmt::print("{}", score_table(result));
    if (!o.json.empty()) write_durably(o.json, score_json(o.score, result));
    if (!o.picture.empty()) draw_neighbours(result, o.picture);
  });
  return 0;
}

}  // namespace langrun::launch
