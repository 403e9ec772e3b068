#include "launch/sampling.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "data/weights_file.h"
#include "distributed/agreement.h"
#include "jobs/torchscript.h"
#include "launch/passed_over.h"
#include "launch/trained_run.h"
#include "launch/training_options.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// What rank 0 saw of the energy: {run, configuration, step, file, average, temperature}.
Json look(const SampleRequest& o) {
  Json seen{{"run", fs::is_directory(o.run)},
            {"configuration", ""},
            {"step", 0},
            {"file", o.run},
            {"average", false},
            {"temperature", ""}};
  if (!fs::exists(o.run))
    throw Error(ExitCode::input, fmt::format("{} does not exist", o.run),
                "--energy names a run folder, or a file of weights");
  if (seen["run"]) {
    if (!fs::exists(fs::path(o.run) / "run.cfg"))
      throw Error(ExitCode::input, fmt::format("{} is not the folder of a run: it has no run.cfg", o.run));
    seen["configuration"] = read_text(fs::path(o.run) / "run.cfg", kMostConfiguration);
    if (o.weights == "initial") return seen;
    const auto step = checkpoint_step(o.run, o.at);
    seen["step"] = step;
    seen["file"] = (checkpoint_folder(o.run, step) / "weights.h5").string();
  } else if (looks_like_torchscript(o.run)) {
    return seen;
  } else if (!h5::looks_like_hdf5(o.run)) {
    throw Error(ExitCode::input, fmt::format("{} is neither a file of weights (HDF5) nor TorchScript", o.run),
                "name a run folder, a file of `langrun weights import`, or a module saved by torch.jit.save");
  }
  const WeightsFile file(seen["file"].get<std::string>());
  seen["average"] = file.has("energy_average") && (!file.has("generator") || file.has("generator_average"));
  const auto part = file.has("energy") ? "energy" : "energy_average";
  const auto facts = file.facts(part);
  if (facts.contains("temperature")) seen["temperature"] = facts.at("temperature");
  return seen;
}

// "best" is the average where it is kept of every network; what was asked for by name is not replaced.
std::string weights_of(const std::string& asked, bool kept) {
  if (asked == "best") return kept ? "average" : "raw";
  if (asked == "average" && !kept)
    throw Error(ExitCode::usage, "this run keeps no average of its weights, or not of both networks",
                "use --weights raw");
  return asked;
}

void resolve_langevin(SampleRequest& o, const std::optional<TrainedRun>& run, const std::string& temperature) {
  if (o.joint_temperature == 0) o.joint_temperature = run ? run->joint_temperature : 1;
  if (run) {
    if (o.eta == 0) o.eta = run->langevin.eta;
    if (o.temperature == 0) o.temperature = run->langevin.temperature;
    if (o.max_norm < 0) o.max_norm = run->hat ? 0 : run->langevin.max_norm;  // a hat's is of training alone
    if (o.steps < 0) o.steps = run->evaluation_steps > 0 ? run->evaluation_steps : run->langevin.steps;
    if (o.precision == "run") o.precision = run->precision;
    return;
  }
  if (o.temperature == 0) std::from_chars(temperature.data(), temperature.data() + temperature.size(), o.temperature);
  for (const auto& [key, value] : {std::pair{"eta", o.eta}, std::pair{"temperature", o.temperature}})
    if (value <= 0)
      throw Error(ExitCode::usage,
                  fmt::format("--langevin.{} is missing: {} is a file, and does not say it", key, o.run),
                  "give it, or name the run's folder");
  if (o.max_norm < 0) o.max_norm = 0;
  if (o.precision == "run") o.precision = "fp32";
}

void check_source(const SampleRequest& o) {
  const auto belongs = [&](const char* kind, const char* key, bool given) {
    if (o.source == kind && !given)
      throw Error(ExitCode::usage, fmt::format("--source {} wants --{}", kind, key), "name where chains begin");
    if (o.source != kind && given)
      throw Error(ExitCode::usage, fmt::format("--{} goes with --source {}", key, kind),
                  fmt::format("--source is {}", o.source));
  };
  belongs("generator", "source.generator", !o.generator.generator.empty());
  belongs("data", "data", !o.data.empty());
  belongs("bank", "source.bank", !o.bank.empty());
  belongs("images", "source.images", !o.images.empty());
  if (o.source != "images" && o.resize)
    throw Error(ExitCode::usage, "--resize goes with --source images", fmt::format("--source is {}", o.source));
  if (o.source != "bank" && o.group != "auto")
    throw Error(ExitCode::usage, "--source.group goes with --source bank", fmt::format("--source is {}", o.source));
}

// Of a run its newest good checkpoint; else the folder is one, which has to be whole.
std::string bank_folder(const std::string& named) {
  if (!fs::is_directory(named))
    throw Error(ExitCode::input, fmt::format("bank {} is no folder", named), "name a run, or a checkpoint's folder");
  if (fs::exists(fs::path(named) / "run.cfg") || fs::exists(checkpoint_home(named)))
    return checkpoint_folder(named, checkpoint_step(named, 0)).string();
  const auto problems = problems_of(named);
  if (!problems.empty()) throw Error(ExitCode::input, problems.front(), "name a run, or a checkpoint's folder");
  return named;
}

SampleStartConfig start_of(Communicator& world, const SampleRequest& o, const std::optional<TrainedRun>& run,
                           const std::string& file) {
  SampleStartConfig start;
  start.seed = o.seed;
  start.interpolation = o.interpolation;
  if (o.source == "run") {
    if (!run)
      throw Error(ExitCode::usage, fmt::format("{} is a file: it does not say where chains begin", o.run),
                  "give --source noise, data, generator, bank or images");
    auto own = own_start(*run, o.weights, file);
    own.interpolation = o.interpolation;
    return own;
  }
  if (o.source == "generator") {
    start.kind = SampleStartKind::generator;
    start.generator = o.generator;
  } else if (o.source == "data") {
    start.kind = SampleStartKind::data;
    start.path = o.data;
  } else if (o.source == "bank") {
    start.kind = SampleStartKind::bank;
    start.group = o.group;
    start.path = on_root(world, "look for the bank", [&] { return bank_folder(o.bank); });
  } else if (o.source == "images") {
    start.kind = SampleStartKind::images;
    start.path = o.images;
    start.resize = o.resize;
  }
  return start;
}

PairView view_of(const std::string& name) {
  if (name == "generated") return PairView::generated;
  return name == "residual" ? PairView::residual : PairView::sum;
}

// What needs both: whether chains are pairs, and whether they begin at latents.
void finish_pairs(SampleConfig& config, const SampleRequest& o, const std::optional<TrainedRun>& run) {
  if (run && run->hat && o.source == "run") config.hat = evaluation_chains(*run->hat);
  if (!config.hat && o.view != "sum")
    throw Error(ExitCode::usage, fmt::format("--view {} goes with a hat's own chains", o.view),
                run && run->hat ? "--source run" : fmt::format("{} is of no hat", o.run));
  const auto kind = config.start.kind;
  const bool latents = kind == SampleStartKind::generator || kind == SampleStartKind::checkpoint ||
                       kind == SampleStartKind::untrained;
  if (o.interpolation == 1 || (o.interpolation > 1 && !latents))
    throw Error(ExitCode::usage,
                fmt::format("--interpolation {}: expected at least 2, of chains that begin with a generator's images",
                            o.interpolation),
                latents ? "" : "name a run whose chains begin so, or --source generator");
}

std::string source_text(const SampleRequest& o) {
  if (o.source == "run") return "";
  return o.source == "noise" ? o.source
                             : fmt::format("{} {}{}{}{}", o.source, o.generator.generator, o.data, o.bank, o.images);
}

/// What needs nothing but the request.
SampleConfig plain_config(const SampleRequest& o) {
  SampleConfig config;
  config.energy.precision = o.precision;
  config.energy.size = o.size;
  config.energy.temperature = o.temperature;
  config.energy.joint_temperature = o.joint_temperature;
  config.langevin = {std::max<std::int64_t>(o.steps, 0), o.eta, o.temperature, o.max_norm};
  config.count = o.count;
  config.seed = o.seed;
  config.call = o.call;
  config.threads = o.threads;
  config.device = o.device;
  config.weights = o.weights;
  config.checkpoint = o.at > 0 ? checkpoint_folder(o.run, o.at) : fs::path(o.run);
  config.source = source_text(o);
  config.view = view_of(o.view);
  return config;
}

}  // namespace

void bind_sampled_energy(OptionTable& table, SampleRequest& o) {
  table.text("energy", o.run, "the energy: folder of a run, a file of weights, or TorchScript of images [b, 3, S, S] in [-1, 1] that returns "
             "energies [b], or a score of the images' shape");
  table.integer("energy.size", o.size, "pixels", "TorchScript: side of the images that the energy takes", {0, 65536});
  table.choice("weights", o.weights, {"best", "average", "raw", "initial"},
               "best (the moving average where it is kept), average, raw weights, or those the run began with");
  table.integer("at", o.at, "step", "of a run: checkpoint of this step; 0: the newest good one", {0});
  table.choice("precision", o.precision, {"run", "fp32", "tf32", "bf16"},
               "of the networks; run: as the run's, of a file fp32");
  table.real("langevin.eta", o.eta, "pixel range [-1, 1]", "step size: the noise is eta z; 0: the run's", {0, 1e3});
  table.real("langevin.temperature", o.temperature, "", "T of U / T; 0: the run's, or what the file says", {0, 1e30});
  table.real(
      "joint-temperature", o.joint_temperature, "",
      "divides U / T + U_prior / T_prior, not the Gaussian term; 0: the run's evaluation.joint-temperature, or 1",
      {0, 1e12});
}

void bind_sample_source(OptionTable& table, SampleRequest& o) {
  o.generator.passed_over = warn_of_passed_over;
  table.choice(
      "source", o.source, {"run", "generator", "data", "noise", "bank", "images"},
      "where chains begin: as the run's own, a generator's images, a store's, uniform noise, a bank's snapshot, "
      "a folder's images");
  table.text("source.generator", o.generator.generator,
             "--source generator: a run folder, a file of weights or TorchScript");
  table.choice("source.weights", o.generator.weights, {"best", "average", "raw"},
               "of it: the moving average where it is kept, average, raw");
  table.integer("source.latent", o.generator.latent, "numbers", "TorchScript: length of its latent, z ~ N(0, I) [b, n]",
                {0, 1 << 20});
  table.choice("source.range", o.generator.range, {"-1:1", "0:1"}, "TorchScript: range of its images' values");
  table.text("data", o.data,
             "--source data: an image store; chain i begins with image i of an order drawn by the seed");
  table.text("source.bank", o.bank, "--source bank: a run, or the folder of a checkpoint; chain i begins with slot i");
  table.choice("source.group", o.group, {"auto", "bank", "update", "burn_in"},
               "which bank of it; auto: bank, or update of a longrun");
  table.text("source.images", o.images,
             "--source images: a folder or tar of images, or a store; chain i begins with image i");
  table.choice("view", o.view, {"sum", "generated", "residual"},
               "of a hat's samples: G(Z) + Y, G(Z) alone, or Y four times as large");
  table.integer("interpolation", o.interpolation, "images",
                "of a generator's chains: so many go from one latent to another, both ends included; 0: each has its own",
                {0, 1000});
  table.flag("resize", o.resize, "--source images: fit images to the energy's size (short side, then the middle)");
}

void bind_sample_calls(OptionTable& table, SampleRequest& o) {
  table.integer("call", o.call, "images", "images a network call; part of the bits", {1, 65536});
  table.integer("seed", o.seed, "", "seed of latents and chains", {0});
  table.integer("threads", o.threads, "threads", "compute threads per rank", {1, 1024});
  table.choice("device", o.device, {"auto", "cpu", "cuda"}, "where to compute");
}

SampleConfig resolve_samples(Communicator& world, SampleRequest& o) {
  check_source(o);
  const auto seen = Json::parse(on_root(world, "look for the energy",
                                        [&] { return look(o).dump(-1, ' ', false, Json::error_handler_t::replace); }));
  std::optional<TrainedRun> run;
  if (seen["run"]) {
    run = read_trained_run(seen["configuration"], o.run + "/run.cfg");
  } else if (o.weights == "initial" || o.at > 0) {
    throw Error(ExitCode::usage, fmt::format("--weights initial and --at go with a run, {} is a file", o.run));
  }
  o.weights = weights_of(o.weights, seen["average"]);
  o.at = seen["step"];
  resolve_langevin(o, run, seen["temperature"]);
  const std::string file = seen["file"];
  auto config = plain_config(o);
  config.start = start_of(world, o, run, file);
  finish_pairs(config, o, run);
  if (o.weights == "initial") {
    config.energy.untrained = run->energy;
    config.energy.untrained_seed = run->seed;
    config.energy.untrained_tau = felt_tau(*run);
    if (!run->prior.empty())
      throw Error(ExitCode::usage, fmt::format("--weights initial: the chains of {} felt a prior too", o.run),
                  "a checkpoint keeps it: use one, by --at");
    return config;
  }
  config.energy.file = file;
  config.energy.part = o.weights == "average" ? "energy_average" : "energy";
  return config;
}

SampleConfig resumed_samples(const SampleRequest& request, const fs::path& weights_file) {
  auto config = plain_config(request);
  config.energy.file = weights_file;
  const WeightsFile file(weights_file);
  if (!file.has("source")) return config;
  // A hat's chains go through their generator at every step, or at least what they are made of does.
  const auto facts = file.facts("source");
  WeightFacts hat;
  for (const auto& [key, value] : facts)
    if (key.starts_with("hat_")) hat[key.substr(4)] = value;
  config.hat = hat_chain_config(hat, weights_file.string());
  config.start.kind = SampleStartKind::checkpoint;
  config.start.path = weights_file;
  const bool scripted = facts.contains("file");
  if (scripted)
    config.start.generator = {facts.at("file"), "best", std::stoll(facts.at("latent")), facts.at("range")};
  return config;
}

SampleConfig configure_samples(Communicator& world, const SampleRequest& request) {
  auto resolved = request;
  auto config = resolve_samples(world, resolved);
  if (resolved.steps < 0)
    throw Error(ExitCode::usage,
                fmt::format("--langevin.steps is missing: {} is a file, and does not say it", resolved.run),
                "say how many steps");
  // The generator's own images: the noise that residuals begin with is for steps to take away.
  if (config.hat && resolved.steps == 0) config.hat->residual_start = 0;
  return config;
}

}  // namespace langrun::launch
