#include "jobs/feature_net.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/torch.h"
#include "data/pickle.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/weights_import.h"
#include "jobs/weights_source.h"

namespace langrun {
namespace {

[[noreturn]] void name_network(const std::string& what) {
  throw Error(ExitCode::usage, what,
              fmt::format("write FILE:NETWORK; built-in networks: {}", fmt::join(classifier_names(), ", ")));
}

FeatureNet from_pytorch(const NetworkSpec& spec) {
  if (spec.network.empty()) name_network(fmt::format("{} does not say which network it belongs to", spec.file));
  auto arrays = weight_arrays(read_pytorch(spec.file), spec.file);
  ClassifierConfig config;
  config.network = spec.network;
  config.classes = classes_of(arrays);
  FeatureNet net{make_classifier(config), config.network, spec.file, {}, {}};
  load_arrays(named_state(*net.classifier), arrays, spec.file);
  return net;
}

FeatureNet from_hdf5(const NetworkSpec& spec) {
  const WeightsFile file(spec.file);
  const auto part = chosen_part(file, "classifier", "best");
  const auto facts = file.facts(part);
  const auto config = classifier_config(facts, spec.file);
  if (!spec.network.empty() && spec.network != config.network)
    throw Error(ExitCode::input,
                fmt::format("{} holds weights of {}, not of {}", spec.file, config.network, spec.network));
  FeatureNet net{make_classifier(config), config.network, spec.file, {}, class_names(facts)};
  read_part(file, part, named_state(*net.classifier));
  return net;
}

}  // namespace

NetworkSpec split_network_spec(const std::string& spec) {
  std::error_code ignored;
  const auto colon = spec.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(spec, ignored)) return {spec, ""};
  return {spec.substr(0, colon), spec.substr(colon + 1)};
}

FeatureNet load_feature_net(const std::string& spec_text) {
  const auto spec = split_network_spec(spec_text);
  const auto names = classifier_names();
  if (!std::filesystem::exists(spec.file) && std::find(names.begin(), names.end(), spec.file) != names.end())
    name_network(fmt::format("'{}' is a network without weights", spec.file));
  auto net = looks_like_pytorch(spec.file) ? from_pytorch(spec) : from_hdf5(spec);
  net.classifier->eval();
  for (auto& weight : net.classifier->parameters()) weight.set_requires_grad(false);
  net.checksum = weights_checksum(arrays_of(named_state(*net.classifier)));
  return net;
}

}  // namespace langrun
