// langrun density: a run's energy over the plane as a density, against the one its data came from.
#include <fmt/format.h>

#include <filesystem>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/run_points.h"
#include "jobs/weights_source.h"
#include "launch/commands.h"
#include "launch/density.h"
#include "launch/options.h"
#include "launch/python.h"
#include "launch/questions.h"
#include "launch/trained_run.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostPoints = 4000;

struct DensityOptions {
  std::string run, out, density, weights = "best";
  std::int64_t at = 0, cells = 512, arrows = 30;
  double half_width = 1.5, temperature = 0;
};

void bind(OptionTable& table, DensityOptions& o) {
  table.positional("RUN", o.run, "folder of a run whose images are points of the plane");
  table.text("out", o.out, "folder for result.json, density.h5 and density.png; must not hold such");
  table.text("density", o.density, "the truth: ring or spirals; empty: what the run's store was drawn from");
  table.choice("weights", o.weights, {"best", "average", "raw"},
               "best (the moving average where it is kept), average, or raw weights");
  table.integer("at", o.at, "step", "checkpoint of this step; 0: the newest good one", {0});
  table.real("temperature", o.temperature, "", "T in exp(-U / T); 0: the run's", {0, 1e30});
  table.real("half-width", o.half_width, "", "the square is [-this, this]^2", {1e-3, 1e3});
  table.integer("cells", o.cells, "cells", "of the grid, each way", {16, 8192});
  table.integer("arrows", o.arrows, "arrows", "of the gradient field, each way", {2, 512});
}

std::string part_of(const DensityOptions& o, const WeightsFile& file) {
  if (o.weights == "average" && !file.has("energy_average"))
    throw Error(ExitCode::usage, "this run keeps no average of its weights", "use --weights raw");
  return chosen_part(file, "energy", o.weights);
}

/// Points and the truth's name are for the asking: a store that is gone leaves its part of the picture empty.
void take_data(const DensityOptions& o, DensityResult& result) {
  result.density = o.density;
  const auto config = fs::path(o.run) / "run.cfg";
  const auto store = configured(read_text(config), "data", config.string()).value_or("");
  try {
    result.data = data_points(store, kMostPoints);
    if (result.density.empty()) result.density = density_of_store(store);
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: warning: no data: {}\n", error.what());
  }
}

DensityResult measure(const DensityOptions& o) {
  if (!fs::exists(fs::path(o.run) / "run.cfg"))
    throw Error(ExitCode::input, fmt::format("{} is not the folder of a run: it has no run.cfg", o.run));
  DensityResult result;
  result.step = checkpoint_step(o.run, o.at);
  const auto checkpoint = checkpoint_folder(o.run, result.step);
  const WeightsFile file(checkpoint / "weights.h5");
  const auto part = part_of(o, file);
  result.run = o.run;
  result.weights = part == "energy" ? "raw" : "average";
  result.grid = {o.half_width, o.cells};
  result.arrows = {o.half_width, o.arrows};
  result.evaluated = model_density(file, part, o.temperature, result.grid, result.arrows);
  result.model = plane_model(result.grid, result.evaluated.energy);
  take_data(o, result);
  result.bank = bank_points(checkpoint, kMostPoints);
  if (result.density.empty()) return result;
  const PlaneDensity truth(result.density);
  result.comparison = compare_with(truth, result.grid, result.model);
  result.truth_gradient = energy_gradient(truth, result.arrows);
  return result;
}

void write(const DensityOptions& o, const DensityResult& result) {
  const fs::path out(o.out);
  make_folder(out);
  write_density_values(out / "density.h5", result);
  // The figures do not hang on a Python.
  try {
    run_python_script("launch/density/density.py", {fs::absolute(out).string()});
  } catch (const Error& error) {
    fmt::print(stderr, "langrun: warning: no picture: {}{}\n", error.what(),
               error.hint().empty() ? "" : fmt::format(" ({})", error.hint()));
  }
  write_durably(out / "result.json", density_json(result));
  fmt::print("{}result: {}\n", density_text(result), (out / "result.json").string());
}

}  // namespace

int run_density(Call& call) {
  DensityOptions options;
  OptionTable table("density");
  bind(table, options);
  table.parse(call.arguments);
  if (answer_questions(
          call, table,
          "The density exp(-U / T) of a run on points of the plane, normalised on a grid, as a picture and "
          "against the density that the points were drawn from."))
    return 0;
  if (options.out.empty()) throw Error(ExitCode::usage, "--out is missing", "name a folder for the result");
  agree(call.world, "density", [&] {
    if (call.world.rank() != 0) return;
    if (!options.density.empty()) (void)PlaneDensity(options.density);
    for (const char* name : {"result.json", "density.h5", "density.png"})
      if (fs::exists(fs::path(options.out) / name))
        throw Error(ExitCode::usage, fmt::format("{} holds a {} already", options.out, name),
                    "nothing is written over; choose another folder");
    write(options, measure(options));
  });
  return 0;
}

}  // namespace langrun::launch
