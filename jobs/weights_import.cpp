#include "jobs/weights_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "core/module_tensors.h"
#include "core/networks/autoencoder.h"
#include "core/networks/classifier.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/torch.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

constexpr const char* kEncoder = "encoder32";

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The part that the network belongs to, where the caller did not say.
std::string part_of(const WeightsImport& import) {
  if (!import.part.empty()) return import.part;
  std::vector<std::string> parts;
  if (contains(energy_names(), import.network)) parts.emplace_back("energy");
  if (contains(generator_names(), import.network)) parts.emplace_back("generator");
  if (contains(classifier_names(), import.network)) parts.emplace_back("classifier");
  if (import.network == kEncoder) parts.emplace_back("encoder");
  if (parts.size() == 1) return parts[0];
  if (parts.empty())
    throw Error(ExitCode::usage, fmt::format("no network is called '{}'", import.network),
                fmt::format("energies: {}; generators: {}; classifiers: {}; encoders: {}", fmt::join(energy_names(), ", "),
                            fmt::join(generator_names(), ", "), fmt::join(classifier_names(), ", "), kEncoder));
  throw Error(ExitCode::usage, fmt::format("'{}' is the name of several networks", import.network),
              fmt::format("say which with --part: {}", fmt::join(parts, " or ")));
}

struct Built {
  std::shared_ptr<torch::nn::Module> module;
  WeightFacts facts;
};

Built build(const WeightsImport& import, const std::string& part, const std::vector<NamedArray>& arrays) {
  // Weights are all replaced, so the seed they are first drawn from does not matter.
  constexpr std::uint64_t kSeed = 0;
  if (part == "energy") {
    EnergyConfig config;
    config.network = import.network;
    config.width = import.width;
    return {make_energy(config, kSeed), facts_of(config)};
  }
  if (part == "generator") {
    GeneratorConfig config;
    config.network = import.network;
    config.width = import.width;
    config.latent = import.latent;
    config.factor = import.factor;
    auto facts = facts_of(config);
    facts["batch_norm"] = "running";
    return {make_generator(config, kSeed), std::move(facts)};
  }
  if (part == "encoder") {
    EncoderConfig config;
    config.network = import.network;
    config.width = import.width;
    return {make_encoder(config, kSeed), facts_of(config)};
  }
  ClassifierConfig config;
  config.network = import.network;
  config.classes = classes_of(arrays);
  config.width = import.width;
  config.normalisation = import.normalisation;
  return {make_classifier(config), facts_of(config)};
}

}  // namespace

std::vector<NamedArray> weight_arrays(StateDict state, const std::string& where) {
  std::vector<NamedArray> arrays;
  for (auto& tensor : state.tensors) {
    if (tensor.name.ends_with("num_batches_tracked")) continue;
    if (!tensor.floating())
      throw Error(ExitCode::input,
                  fmt::format("{}: {} holds {}, weights are floating-point", where, tensor.name, tensor.type));
    arrays.emplace_back(std::move(tensor.name), std::move(tensor.shape), std::move(tensor.reals));
  }
  return arrays;
}

std::int64_t classes_of(const std::vector<NamedArray>& arrays) {
  for (const auto& array : arrays)
    if (array.name == "linear.bias" && array.shape.size() == 1) return std::max<std::int64_t>(array.shape[0], 1);
  return 10;
}

ImportedWeights import_weights(const WeightsImport& import) {
  const auto part = part_of(import);
  const auto arrays = weight_arrays(read_pytorch(import.source, import.key), import.source);
  const auto [module, facts] = build(import, part, arrays);
  load_arrays(named_state(*module), arrays, import.source);
  ImportedWeights done;
  done.part = part;
  done.weights = weight_count(*module);
  WeightsPart out{part, facts, arrays_of(named_state(*module))};
  done.tensors = static_cast<std::int64_t>(out.arrays.size());
  done.checksum = weights_checksum(out.arrays);
  std::vector<WeightsPart> parts;
  parts.push_back(std::move(out));
  write_weights_file(import.target, parts);
  return done;
}

}  // namespace langrun
