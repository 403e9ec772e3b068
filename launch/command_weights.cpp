// `langrun weights import`: PyTorch weights into langrun's own file.
#include <fmt/format.h>

#include "core/error.h"
#include "jobs/weights_import.h"
#include "launch/commands.h"
#include "launch/options.h"
#include "launch/questions.h"

namespace langrun::launch {

int run_weights_import(Call& call) {
  WeightsImport import;
  std::string part = "auto";
  OptionTable table("weights import");
  table.positional("FILE", import.source, "PyTorch file, zip or legacy, as torch.save writes a state dict");
  table.positional("OUT", import.target, "file of weights to make (HDF5); must not exist");
  table.text("network", import.network, "name of the network that the weights belong to");
  table.choice("part", part, {"auto", "energy", "generator", "classifier"},
               "kind of network; auto: whichever has that name");
  table.text("key", import.key, "which dictionary of FILE, keys joined by dots; none: the outermost, or state_dict");
  table.integer("width", import.width, "channels", "base width n; 0: the paper's", {0, 1 << 16});
  table.integer("latent", import.latent, "numbers", "length of a generator's latent", {1, 1 << 20});
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
