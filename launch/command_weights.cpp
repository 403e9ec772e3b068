// `langrun weights import` and `langrun weights export`: PyTorch weights into langrun's own file, and back.
#include <fmt/format.h>

#include <filesystem>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/weights_export.h"
#include "jobs/weights_import.h"
#include "jobs/weights_source.h"
#include "launch/commands.h"
#include "launch/embedded.h"
#include "launch/options.h"
#include "launch/passed_over.h"
#include "launch/questions.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

/// Nothing is written over; the module definitions may stand there already, as they are.
void write_export(const ExportedWeights& weights, const fs::path& target) {
  const auto facts = fs::path(target).replace_extension(".json");
  const auto modules = fs::absolute(target).parent_path() / "langrun_networks.py";
  const auto& definitions = embedded_file("launch/weights/langrun_networks.py");
  for (const auto& path : {target, facts})
    if (fs::exists(path) || fs::is_symlink(path))
      throw Error(ExitCode::usage, fmt::format("{} exists already", path.string()),
                  "choose another OUT, or move the file away");
  if (fs::exists(modules) && read_text(modules) != definitions)
    throw Error(ExitCode::usage, fmt::format("{} exists already, and is of another version", modules.string()),
                "choose another folder for OUT, or move the file away");
  write_durably(modules, definitions);
  write_durably(facts, weights.facts);
  write_durably(target, weights.file);
}

}  // namespace

int run_weights_export(Call& call) {
  std::string source, target, part;
  OptionTable table("weights export");
  table.positional("RUN_OR_FILE", source, "run folder, of which the newest good checkpoint is taken, or file of weights");
  table.positional("OUT", target, "PyTorch file to make, such as energy.pth; must not exist");
  table.text("part", part,
             "energy, generator, classifier or encoder, or one of these with _average; none: the only one");
  table.parse(call.arguments);
  if (answer_questions(call, table,
                       "Writes weights as a PyTorch state dict, and beside it the modules that it belongs to."))
    return 0;
  const auto found = find_weights(call.world, source, "weights", false, warn_of_passed_over);
  agree(call.world, "weights export", [&] {
    if (call.world.rank() != 0) return;
    if (fs::path(target).extension() == ".json" || fs::path(target).extension() == ".py")
      throw Error(ExitCode::usage, fmt::format("OUT is {}, expected a name such as energy.pth", target));
    const WeightsFile file(found);
    const auto weights = export_weights(file, part.empty() ? only_part(file) : part);
    write_export(weights, target);
    fmt::print("{}: {} tensors, {} weights of {}\n", target, weights.tensors, weights.weights, found);
    fmt::print("in its folder: import langrun_networks; network = langrun_networks.load(\"{}\")\n",
               fs::path(target).filename().string());
  });
  return 0;
}

int run_weights_import(Call& call) {
  WeightsImport import;
  std::string part = "auto";
  OptionTable table("weights import");
  table.positional("FILE", import.source, "PyTorch file, zip or legacy, as torch.save writes a state dict");
  table.positional("OUT", import.target, "file of weights to make (HDF5); must not exist");
  table.text("network", import.network, "name of the network that the weights belong to");
  table.choice("part", part, {"auto", "energy", "generator", "classifier", "encoder"},
               "kind of network; auto: whichever has that name");
  table.text("key", import.key, "which dictionary of FILE, keys joined by dots; none: the outermost, or state_dict");
  table.integer("width", import.width, "channels", "base width n; 0: the paper's", {0, 1 << 16});
  table.integer("latent", import.latent, "numbers", "length of a generator's latent", {1, 1 << 20});
  table.real("factor", import.factor, "", "of a generator's tanh: its images are in [-factor, factor]", {1e-6, 1e6});
  table.choice("normalisation", import.normalisation, {"auto", "none", "cifar10", "imagenet"},
               "of images, by which a classifier was trained; auto: the network's usual one");
  table.parse(call.arguments);
  if (answer_questions(call, table,
                       "Reads PyTorch weights (weights only, nothing is executed) into a file of weights."))
    return 0;
  if (import.network.empty())
    throw Error(ExitCode::usage, "langrun weights import: --network is missing",
                "name the network that the weights belong to, such as --network resnet20");
  if (part != "auto") import.part = part;
  if (call.world.rank() == 0) {
    const auto done = import_weights(import);
    fmt::print("{}: /{} {}, {} tensors, {} weights, checksum {}\n", import.target, done.part, import.network,
               done.tensors, done.weights, done.checksum);
  }
  call.world.barrier("weights import");
  return 0;
}

}  // namespace langrun::launch
