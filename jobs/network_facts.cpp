#include "jobs/network_facts.h"

#include <fmt/format.h>

#include <charconv>

#include "core/error.h"
#include "core/networks/classifier.h"

namespace langrun {
namespace {

/// Reads facts one by one into fields.
class Reader {
 public:
  Reader(const WeightFacts& facts, const std::string& where) : facts_(facts), where_(where) {}

  void text(const char* key, std::string& field) const {
    if (const auto found = facts_.find(key); found != facts_.end()) field = found->second;
  }
  void required(const char* key, std::string& field) const {
    if (!facts_.contains(key))
      throw Error(ExitCode::input, fmt::format("{} does not say its {}", where_, key),
                  "import the weights again with `langrun weights import`");
    text(key, field);
  }
  void integer(const char* key, std::int64_t& field) const {
    const auto found = facts_.find(key);
    if (found == facts_.end()) return;
    const auto& value = found->second;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), field);
    if (failure != std::errc{} || end != value.data() + value.size()) malformed(key, value, "a whole number");
  }
  void flag(const char* key, bool& field) const {
    const auto found = facts_.find(key);
    if (found == facts_.end()) return;
    if (found->second != "true" && found->second != "false") malformed(key, found->second, "true or false");
    field = found->second == "true";
  }

 private:
  [[noreturn]] void malformed(const char* key, const std::string& value, const char* expected) const {
    throw Error(ExitCode::input, fmt::format("{}: attribute {} is '{}', expected {}", where_, key, value, expected));
  }
  const WeightFacts& facts_;
  const std::string& where_;
};

}  // namespace

WeightFacts facts_of(const EnergyConfig& config) {
  return {{"network", config.network},
          {"width", std::to_string(config.width)},
          {"spectral_norm", config.spectral_norm ? "true" : "false"},
          {"attention_gamma", config.attention_gamma}};
}

WeightFacts facts_of(const GeneratorConfig& config) {
  return {
      {"network", config.network}, {"width", std::to_string(config.width)}, {"latent", std::to_string(config.latent)}};
}

WeightFacts facts_of(const ClassifierConfig& config) {
  return {{"network", config.network},
          {"classes", std::to_string(config.classes)},
          {"width", std::to_string(config.width)},
          {"normalisation",
           config.normalisation == "auto" ? usual_normalisation(config.network) : config.normalisation}};
}

EnergyConfig energy_config(const WeightFacts& facts, const std::string& where) {
  EnergyConfig config;
  const Reader reader(facts, where);
  reader.required("network", config.network);
  reader.integer("width", config.width);
  reader.flag("spectral_norm", config.spectral_norm);
  reader.text("attention_gamma", config.attention_gamma);
  return config;
}

GeneratorConfig generator_config(const WeightFacts& facts, const std::string& where) {
  GeneratorConfig config;
  const Reader reader(facts, where);
  reader.required("network", config.network);
  reader.integer("width", config.width);
  reader.integer("latent", config.latent);
  return config;
}

ClassifierConfig classifier_config(const WeightFacts& facts, const std::string& where) {
  ClassifierConfig config;
  const Reader reader(facts, where);
  reader.required("network", config.network);
  reader.integer("classes", config.classes);
  reader.integer("width", config.width);
  reader.text("normalisation", config.normalisation);
  return config;
}

}  // namespace langrun
