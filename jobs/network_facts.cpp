#include "jobs/network_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "core/networks/classifier.h"
#include "jobs/fact_reader.h"

namespace langrun {
namespace {

constexpr const char* kClassNames = "class_names";

}  // namespace

WeightFacts facts_of(const EnergyConfig& config) {
  return {{"network", config.network},
          {"width", std::to_string(config.width)},
          {"spectral_norm", config.spectral_norm ? "true" : "false"},
          {"attention_gamma", config.attention_gamma}};
}

WeightFacts facts_of(const GeneratorConfig& config) {
  return {{"network", config.network},
          {"width", std::to_string(config.width)},
          {"latent", std::to_string(config.latent)},
          {"factor", fmt::format("{}", config.factor)}};
}

WeightFacts facts_of(const ClassifierConfig& config) {
  return {{"network", config.network},
          {"classes", std::to_string(config.classes)},
          {"width", std::to_string(config.width)},
          {"normalisation",
           config.normalisation == "auto" ? usual_normalisation(config.network) : config.normalisation}};
}

WeightFacts facts_of(const EncoderConfig& config) {
  return {{"network", config.network}, {"width", std::to_string(config.width)}};
}

void add_class_names(WeightFacts& facts, const std::vector<std::string>& names) {
  facts[kClassNames] = fmt::format("{}", fmt::join(names, "\n"));  // a name may hold anything but the end of a line
}

std::vector<std::string> class_names(const WeightFacts& facts) {
  std::vector<std::string> names;
  const auto found = facts.find(kClassNames);
  if (found == facts.end()) return names;
  std::istringstream in(found->second);
  for (std::string name; std::getline(in, name);) names.push_back(name);
  return names;
}

EncoderConfig encoder_config(const WeightFacts& facts, const std::string& where) {
  EncoderConfig config;
  const FactReader reader(facts, where);
  reader.required("network", config.network);
  reader.integer("width", config.width);
  return config;
}

EnergyConfig energy_config(const WeightFacts& facts, const std::string& where) {
  EnergyConfig config;
  const FactReader reader(facts, where);
  reader.required("network", config.network);
  reader.integer("width", config.width);
  reader.flag("spectral_norm", config.spectral_norm);
  reader.text("attention_gamma", config.attention_gamma);
  return config;
}

GeneratorConfig generator_config(const WeightFacts& facts, const std::string& where) {
  GeneratorConfig config;
  const FactReader reader(facts, where);
  reader.required("network", config.network);
  reader.integer("width", config.width);
  reader.integer("latent", config.latent);
  reader.real("factor", config.factor);
  return config;
}

ClassifierConfig classifier_config(const WeightFacts& facts, const std::string& where) {
  ClassifierConfig config;
  const FactReader reader(facts, where);
  reader.required("network", config.network);
  reader.integer("classes", config.classes);
  reader.integer("width", config.width);
  reader.text("normalisation", config.normalisation);
  return config;
}

}  // namespace langrun
