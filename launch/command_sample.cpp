// langrun sample
#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "core/error.h"
#include "distributed/agreement.h"
#include "jobs/sample.h"
#include "launch/commands.h"
#include "launch/equal_ranks.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/run_watch.h"
#include "launch/sample_picture.h"
#include "launch/sample_run.h"
#include "launch/sample_store.h"
#include "launch/sampling.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSummary =
    "Chains of any source under a trained energy: K Langevin steps into one store (--out, --picture), or a folder with "
    "listed steps that can be stopped and resumed (--run).";

void bind(OptionTable& table, SampleOptions& o) {
  table.choice("job", o.job, {"sample"}, "the command that a configuration file is of");
  table.text("run", o.run, "folder for listed steps; made if it is missing", Keep::transient);
  table.flag("resume", o.resume, "go on with what is in --run; an empty or missing folder starts anew",
             Keep::transient);
  table.integer("stop-at", o.stop_at, "steps", "of --run: exit 75 once all chains have gone so far; 0: never", {0},
                Keep::transient);
  table.real("deadline", o.deadline, "seconds since 1970",
             "when the job is ended from outside: exit 75 early enough before it; 0: none", {0}, Keep::transient);
  table.real("stop-after", o.stop_after, "seconds",
             "of --run: save and exit 75 once this much time has passed; 0: never", {0}, Keep::transient);
  table.text("out", o.out, "image store (HDF5) to write the samples to; must not exist", Keep::transient);
  table.text("picture", o.picture, "PNG grid of the first 64 samples", Keep::transient);
  bind_sampled_energy(table, o.samples);
  table.real("langevin.max-norm", o.samples.max_norm, "pixel range [-1, 1]",
             "clip of each sample's (eta^2/2) ||grad E||; 0: none; -1: the run's", {-1});
  table.integer("langevin.steps", o.samples.steps, "steps", "K; -1: the run's evaluation.steps, or its langevin.steps",
                {-1, 100'000'000});
  table.text("steps-list", o.steps_list, "of --run: listed steps instead of K, rising: 0,1,10,100", Keep::changeable);
  table.integer("count", o.samples.count, "images", "how many samples; 0: all that the source has", {0, 100'000'000});
  bind_sample_source(table, o.samples);
  bind_sample_calls(table, o.samples);
  table.integer("checkpoint.every", o.checkpoint_every, "steps",
                "of --run: chains are saved at listed steps, and after so many steps; 0: only there", {0},
                Keep::changeable);
  table.real("watchdog.limit", o.watchdog_limit, "seconds", "longest wait in one collective; 0: for ever", {0},
             Keep::changeable);
}

void check_names(Communicator& world, const SampleOptions& o) {
  if (o.samples.run.empty()) throw Error(ExitCode::usage, "--energy is missing", "name the folder of a run");
  if (o.out.empty() && o.picture.empty())
    throw Error(ExitCode::usage, "neither --out nor --picture nor --run is given", "name a file for the samples");
  if (o.out == o.picture)
    throw Error(ExitCode::usage, fmt::format("--out and --picture both name {}", o.out), "give each a name of its own");
  if (!o.steps_list.empty() || o.resume || o.stop_at > 0 || o.stop_after > 0)
    throw Error(ExitCode::usage, "--steps-list, --resume, --stop-at and --stop-after go with --run",
                "name a folder: --run DIR");
  agree(world, "look at the names", [&] {
    if (world.rank() != 0) return;
    for (const auto& file : {o.out, o.picture})
      if (!file.empty() && fs::exists(file))
        throw Error(ExitCode::usage, fmt::format("{} exists already", file),
                    "nothing is written over; choose another name");
  });
}

int sample_into_files(Call& call, const SampleOptions& options) {
  call.world.set_limit(options.watchdog_limit);
  check_names(call.world, options);
  auto config = configure_samples(call.world, options.samples);
  std::optional<SampleStore> store;
  if (!options.out.empty()) store.emplace(config, options.out);
  const OutputWatch watch(call.world, options.out.empty() ? options.picture : options.out);
  std::vector<std::uint8_t> shown;
  ImageShape shape;
  sample_images(config, call.world,
                {[&](std::int64_t count) {
                   config.count = count;
                   if (store) store->set_count(count);
                 },
                 [&](std::int64_t first, const ImageShape& each, const std::vector<std::uint8_t>& images) {
                   if (store) store->add(first, each, images);
                   shape = each;
                   show_more(shown, images, pictured_bytes(each));
                 }});
  agree(call.world, "finish samples", [&] {
    if (call.world.rank() != 0) return;
    if (store) store->finish();
    if (!options.picture.empty()) draw_samples(config, shape, shown, options.picture);
    fmt::print("{} samples, {} weights of {}, K {}\n", config.count, config.weights, config.checkpoint.string(),
               config.langevin.steps);
  });
  return 0;
}

}  // namespace

int run_sample(Call& call) {
  SampleOptions options;
  OptionTable table("sample");
  bind(table, options);
  table.parse(call.arguments);
  if (answer_questions(call, table, kSummary)) return 0;
  if (options.run.empty()) {
    refuse_unequal_ranks(call.world, table);
    return sample_into_files(call, options);
  }
  if (!options.out.empty() || !options.picture.empty())
    throw Error(ExitCode::usage, "--out and --picture do not go with --run",
                "a folder has stores and pictures of its own");
  return run_sample_folder(call, table, options, bind);
}

}  // namespace langrun::launch
