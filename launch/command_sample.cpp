// langrun sample
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "distributed/agreement.h"
#include "jobs/sample.h"
#include "launch/commands.h"
#include "launch/grid.h"
#include "launch/options.h"
#include "launch/shortrun_options.h"
#include "launch/training_command.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

struct SampleOptions {
  std::string run, out, picture, device = "auto", weights = "average";
  std::int64_t at = 0, count = 64, seed = 1, steps = -1, threads = 1, call = 25;
};

void bind(OptionTable& table, SampleOptions& o) {
  table.text("energy", o.run, "folder of the run to sample");
  table.text("out", o.out, "image store (HDF5) to write the samples to; must not exist");
  table.text("picture", o.picture, "PNG grid of the first 64 samples");
  table.choice("weights", o.weights, {"average", "raw", "initial"}, "moving average, raw weights, or those the run began with");
  table.integer("at", o.at, "step", "checkpoint of this step; 0: the newest good one", {0});
  table.integer("count", o.count, "images", "how many samples", {1, 100'000'000});
  table.integer("langevin.steps", o.steps, "steps", "K; -1: the run's evaluation.steps, or its langevin.steps", {-1, 100'000'000});
  table.integer("call", o.call, "images", "images a network call; part of the bits", {1, 65536});
  table.integer("seed", o.seed, "", "seed of latents and chains", {0});
  table.integer("threads", o.threads, "threads", "compute threads per rank", {1, 1024});
  table.choice("device", o.device, {"auto", "cpu", "cuda"}, "where to compute");
}

std::int64_t checkpoint_step(const SampleOptions& o) {
  if (o.weights == "initial") return 0;
  if (o.at > 0) {
    const auto problems = problems_of(fs::path(o.run) / "checkpoint" / checkpoint_name(o.at));
    if (!problems.empty()) throw Error(ExitCode::input, problems.front(), "`langrun run status DIR` lists the checkpoints");
    return o.at;
  }
  std::vector<std::string> damaged;
  const auto newest = newest_good_checkpoint(o.run, damaged);
  if (!newest) throw Error(ExitCode::input, fmt::format("{} has no checkpoint yet", o.run), "wait for one, or use --weights initial");
  return *newest;
}

SampleConfig configure(Call& call, const SampleOptions& o) {
  if (o.run.empty()) throw Error(ExitCode::usage, "--energy is missing", "name the folder of a run");
  if (o.out.empty() && o.picture.empty()) throw Error(ExitCode::usage, "neither --out nor --picture is given", "name a file for the samples");
  const auto step = std::stoll(on_root(call.world, "look for a checkpoint", [&] {
    for (const auto& file : {o.out, o.picture})
      if (!file.empty() && fs::exists(file)) throw Error(ExitCode::usage, fmt::format("{} exists already", file), "nothing is written over; choose another name");
    if (!fs::exists(fs::path(o.run) / "run.cfg"))
      throw Error(ExitCode::input, fmt::format("{} is not the folder of a run: it has no run.cfg", o.run));
    return std::to_string(checkpoint_step(o));
  }));
  SampleConfig config;
  OptionTable trained("shortrun");
  bind_shortrun(trained, config.trained);
  trained.read_config(on_root(call.world, "read run.cfg", [&] { return read_text(fs::path(o.run) / "run.cfg"); }), o.run + "/run.cfg");
  config.trained.training.threads = o.threads;
  config.trained.training.device = o.device;
  config.checkpoint = fs::path(o.run) / "checkpoint" / checkpoint_name(step);
  config.weights = o.weights == "average" && config.trained.energy_learning.average == 0 ? "raw" : o.weights;
  config.langevin = config.trained.langevin;
  if (config.trained.evaluation_steps > 0) config.langevin.steps = config.trained.evaluation_steps;
  if (o.steps >= 0) config.langevin.steps = o.steps;
  config.count = o.count;
  config.seed = o.seed;
  config.call = o.call;
  return config;
}

/// Samples into an image store: /images uint8 [N, H, W, C], /labels, and where they came from. Written whole or not
/// at all.
class SampleStore {
 public:
  SampleStore(const SampleConfig& config, const fs::path& out) : config_(config), out_(out), partial_(out.string() + ".partial") {}
  ~SampleStore() {
    std::error_code ignored;
    if (!done_) fs::remove(partial_, ignored);
  }

  void add(std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images) {
    if (!file_) begin(shape);
    images_->write_rows(static_cast<std::uint64_t>(first), images.size() / static_cast<std::size_t>(shape.elements()), images.data());
  }

  void finish() {
    images_.reset();
    file_->close();
    sync_path(partial_);
    rename_durably(partial_, out_);
    done_ = true;
  }

 private:
  void begin(const ImageShape& shape) {
    std::error_code ignored;
    fs::remove(partial_, ignored);
    const auto n = static_cast<std::uint64_t>(config_.count);
    file_.emplace(h5::File::create(partial_));
    images_.emplace(file_->create_dataset("/images", h5::Type::u8, {n, static_cast<std::uint64_t>(shape.height),
                    static_cast<std::uint64_t>(shape.width), static_cast<std::uint64_t>(shape.channels)}));
    const std::vector<std::int64_t> labels(n, 0);
    file_->write("/labels", {n}, labels.data());
    file_->write_attribute("/", "classes", std::vector<std::string>{"sample"});
    file_->write_attribute("/", "weights", config_.weights);
    file_->write_attribute("/", "checkpoint", config_.weights == "initial" ? "none" : config_.checkpoint.filename().string());
    file_->write_attribute("/", "seed", config_.seed);
    file_->write_attribute("/", "call", config_.call);
    file_->write_attribute("/", "langevin_steps", config_.langevin.steps);
    file_->write_attribute("/", "langevin_eta", config_.langevin.eta);
    file_->write_attribute("/", "langevin_temperature", config_.langevin.temperature);
  }

  const SampleConfig& config_;
  fs::path out_, partial_;
  std::optional<h5::File> file_;
  std::optional<h5::Dataset> images_;
  bool done_ = false;
};

void draw_samples(const SampleConfig& config, const ImageShape& shape, const std::vector<std::uint8_t>& bytes, const fs::path& path) {
  std::vector<float> pixels;
  for (const auto byte : bytes) pixels.push_back(static_cast<float>(byte) / 127.5f - 1.0f);
  const auto count = static_cast<std::int64_t>(bytes.size()) / shape.elements();
  const auto title = fmt::format("{} weights, step {}, K {}", config.weights, config.weights == "initial" ? "0" : config.checkpoint.filename().string(), config.langevin.steps);
  write_png(path, draw_grid({{title, pixels, count, shape, true}}));
}

}  // namespace

int run_sample(Call& call) {
  SampleOptions options;
  OptionTable table("sample");
  bind(table, options);
  table.parse(call.arguments);
  if (answer_questions(call, table, "Samples of a trained run: fresh starts, then K Langevin steps under its energy.")) return 0;
  const auto config = configure(call, options);
  std::optional<SampleStore> store;
  if (!options.out.empty()) store.emplace(config, options.out);
  std::vector<std::uint8_t> shown;
  ImageShape shape;
  sample_images(config, call.world, [&](std::int64_t first, const ImageShape& each, const std::vector<std::uint8_t>& images) {
    if (store) store->add(first, each, images);
    shape = each;
    const auto wanted = static_cast<std::size_t>(64 * each.elements());
    if (shown.size() < wanted) shown.insert(shown.end(), images.begin(), images.begin() + static_cast<std::ptrdiff_t>(std::min(images.size(), wanted - shown.size())));
  });
  agree(call.world, "finish samples", [&] {
    if (call.world.rank() != 0) return;
    if (store) store->finish();
    if (!options.picture.empty()) draw_samples(config, shape, shown, options.picture);
    fmt::print("{} samples, {} weights of {}, K {}\n", config.count, config.weights, config.checkpoint.string(), config.langevin.steps);
  });
  return 0;
}

}  // namespace langrun::launch
