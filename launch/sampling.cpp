#include "launch/sampling.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "distributed/agreement.h"
#include "jobs/chain_start.h"
#include "launch/midrun_options.h"
#include "launch/options.h"
#include "launch/shortrun_options.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

std::int64_t checkpoint_step(const SampleRequest& o) {
  if (o.weights == "initial") return 0;
  if (o.at > 0) {
    const auto problems = problems_of(fs::path(o.run) / "checkpoint" / checkpoint_name(o.at));
    if (!problems.empty())
      throw Error(ExitCode::input, problems.front(), "`langrun run status DIR` lists the checkpoints");
    return o.at;
  }
  std::vector<std::string> damaged;
  const auto newest = newest_good_checkpoint(o.run, damaged);
  if (!newest)
    throw Error(ExitCode::input, fmt::format("{} has no checkpoint yet", o.run),
                "wait for one, or use --weights initial");
  return *newest;
}

// "best" is the average where the run keeps one of every network it has; what was asked for by name is not replaced.
std::string weights_of(const std::string& asked, const ShortrunConfig& trained, bool frozen_generator) {
  const bool generator = !frozen_generator && uses_generator(chain_start(trained.init));
  const bool kept = trained.energy_learning.average > 0 && (!generator || trained.generator_learning.average > 0);
  if (asked == "best") return kept ? "average" : "raw";
  if (asked == "average" && !kept)
    throw Error(ExitCode::usage, "this run keeps no average of its weights, or not of both networks",
                "use --weights raw");
  return asked;
}

/// What a run.cfg says, whichever job wrote it, as the sampler takes it.
void read_trained(SampleConfig& config, const std::string& text, const std::string& where) {
  // Runs of before there were other jobs do not say theirs.
  const auto job = configured(text, "job", where).value_or("shortrun");
  OptionTable table(job);
  if (job == "shortrun") {
    bind_shortrun(table, config.trained);
    table.read_config(text, where);
  } else if (job == "midrun") {
    MidrunConfig midrun;
    bind_midrun(table, midrun);
    table.read_config(text, where);
    static_cast<EnergyTrainingConfig&>(config.trained) = midrun;
    config.trained.init = "data-persistent";
    if (!midrun.source.generator.empty()) config.source = midrun.source;
  } else {
    throw Error(ExitCode::input, fmt::format("{} is of a job '{}', which is not known", where, job),
                "shortrun and midrun are");
  }
}

}  // namespace

SampleConfig configure_samples(Communicator& world, const SampleRequest& o) {
  const auto step = std::stoll(on_root(world, "look for a checkpoint", [&] {
    if (!fs::exists(fs::path(o.run) / "run.cfg"))
      throw Error(ExitCode::input, fmt::format("{} is not the folder of a run: it has no run.cfg", o.run));
    return std::to_string(checkpoint_step(o));
  }));
  SampleConfig config;
  read_trained(config, on_root(world, "read run.cfg", [&] { return read_text(fs::path(o.run) / "run.cfg"); }),
               o.run + "/run.cfg");
  if (config.source && o.weights == "initial")
    throw Error(ExitCode::usage, "--weights initial: this run's generator was trained before it began",
                "use --weights raw, or sample the generator's own run");
  config.trained.training.threads = o.threads;
  config.trained.training.device = o.device;
  config.checkpoint = fs::path(o.run) / "checkpoint" / checkpoint_name(step);
  config.weights = weights_of(o.weights, config.trained, config.source.has_value());
  config.langevin = config.trained.langevin;
  if (config.trained.evaluation_steps > 0) config.langevin.steps = config.trained.evaluation_steps;
  if (o.steps >= 0) config.langevin.steps = o.steps;
  config.count = o.count;
  config.seed = o.seed;
  config.call = o.call;
  return config;
}

struct SampleStore::Contents {
  SampleConfig config;
  fs::path out, partial;
  std::optional<h5::File> file;
  std::optional<h5::Dataset> images;
  bool done = false;

  void begin(const ImageShape& shape);
};

SampleStore::SampleStore(const SampleConfig& config, const fs::path& out)
    : contents_(new Contents{config, out, fmt::format("{}.{}.partial", out.string(), ::getpid()), {}, {}, false}) {}

SampleStore::~SampleStore() {
  std::error_code ignored;
  if (contents_->file && !contents_->done) fs::remove(contents_->partial, ignored);
}

void SampleStore::add(std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images) {
  if (!contents_->file) contents_->begin(shape);
  contents_->images->write_rows(static_cast<std::uint64_t>(first),
                                images.size() / static_cast<std::size_t>(shape.elements()), images.data());
}

void SampleStore::finish() {
  contents_->images.reset();
  contents_->file->close();
  sync_path(contents_->partial);
  rename_durably(contents_->partial, contents_->out);
  contents_->done = true;
}

void SampleStore::Contents::begin(const ImageShape& shape) {
  std::error_code ignored;
  fs::remove(partial, ignored);
  const auto n = static_cast<std::uint64_t>(config.count);
  file.emplace(h5::File::create(partial));
  images.emplace(
      file->create_dataset("/images", h5::Type::u8,
                           {n, static_cast<std::uint64_t>(shape.height), static_cast<std::uint64_t>(shape.width),
                            static_cast<std::uint64_t>(shape.channels)}));
  const std::vector<std::int64_t> labels(n, 0);
  file->write("/labels", {n}, labels.data());
  file->write_attribute("/", "classes", std::vector<std::string>{"sample"});
  file->write_attribute("/", "weights", config.weights);
  file->write_attribute("/", "checkpoint",
                        config.weights == "initial" ? "none" : config.checkpoint.filename().string());
  file->write_attribute("/", "seed", config.seed);
  file->write_attribute("/", "call", config.call);
  file->write_attribute("/", "langevin_steps", config.langevin.steps);
  file->write_attribute("/", "langevin_eta", config.langevin.eta);
  file->write_attribute("/", "langevin_temperature", config.langevin.temperature);
}

}  // namespace langrun::launch
