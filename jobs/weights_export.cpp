#include "jobs/weights_export.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/module_tensors.h"
#include "core/networks/autoencoder.h"
#include "core/networks/classifier.h"
#include "core/networks/energy.h"
#include "core/networks/generator.h"
#include "core/torch.h"
#include "data/pytorch_file.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

struct Built {
  std::shared_ptr<torch::nn::Module> module;
  nlohmann::ordered_json facts;
};

Built build(const std::string& part, const WeightFacts& facts, const std::string& where) {
  const auto kind = part.substr(0, part.find('_'));
  nlohmann::ordered_json told{{"part", part}};
  if (kind == "energy") {
    const auto config = energy_config(facts, where);
    told.update({{"network", config.network}, {"width", config.width}, {"spectral_norm", config.spectral_norm}});
    return {make_energy(config, 0), told};
  }
  if (kind == "generator") {
    const auto config = generator_config(facts, where);
    const auto norm = facts.find("batch_norm");
    told.update({{"network", config.network},
                 {"width", config.width},
                 {"latent", config.latent},
                 {"factor", config.factor},
                 {"batch_norm", norm == facts.end() ? "running" : norm->second}});
    return {make_generator(config, 0), told};
  }
  if (kind == "encoder") {
    const auto config = encoder_config(facts, where);
    told.update({{"network", config.network}, {"width", config.width}});
    return {make_encoder(config, 0), told};
  }
  const auto config = classifier_config(facts, where);
  told.update({{"network", config.network},
               {"width", config.width},
               {"classes", config.classes},
               {"normalisation",
                config.normalisation == "auto" ? usual_normalisation(config.network) : config.normalisation}});
  return {make_classifier(config), told};
}

bool has_module(const std::string& part) {
  for (const std::string kind : {"energy", "generator", "classifier", "encoder"})
    if (part == kind || part == kind + "_average") return true;
  return false;
}

}  // namespace

std::string only_part(const WeightsFile& file) {
  std::vector<std::string> parts;
  for (const auto& part : file.parts())
    if (has_module(part)) parts.push_back(part);
  if (parts.size() == 1) return parts[0];
  throw Error(ExitCode::usage, fmt::format("{} has {} parts that can be exported", file.path().string(), parts.size()),
              parts.empty() ? "" : fmt::format("say which with --part: {}", fmt::join(parts, ", ")));
}

ExportedWeights export_weights(const WeightsFile& file, const std::string& part) {
  if (!has_module(part))
    throw Error(ExitCode::usage, fmt::format("no module stands for weights '{}'", part),
                "--part is energy, generator, classifier or encoder, or one of these with _average");
  const auto [module, facts] = build(part, file.facts(part), file.path().string());
  const auto state = named_state(*module);
  read_part(file, part, state);
  return {pytorch_file(arrays_of(state)), facts.dump(1) + "\n", static_cast<std::int64_t>(state.size()), weight_count(*module)};
}

}  // namespace langrun
