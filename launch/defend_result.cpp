#include "launch/defend_result.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/durable.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json read_cost(const fs::path& run) {
  const auto path = run / "cost.json";
  if (!fs::exists(path)) return {{"starts", Json::array()}};
  try {
    auto json = Json::parse(read_text(path));
    if (json.contains("starts")) return json;
  } catch (const Json::exception&) {
  }
  throw Error(ExitCode::storage, fmt::format("{} is damaged", path.string()), "remove it: it holds times alone");
}

Json rule_json(const RuleResult& rule) {
  return {{"value", rule.share.value},   {"low", rule.share.low},         {"high", rule.share.high},
          {"noise_low", rule.noise_low}, {"noise_high", rule.noise_high}, {"count", rule.count}};
}

Json numbers(const std::vector<double>& values) {
  auto list = Json::array();
  for (const auto value : values) list.push_back(std::isnan(value) ? Json(nullptr) : Json(value));
  return list;
}

}  // namespace

void add_cost(const fs::path& run, const EvaluationCost& cost) {
  auto json = read_cost(run);
  const auto& counts = cost.counts;
  json["starts"].push_back({{"seconds", cost.seconds},
                            {"ranks", cost.ranks},
                            {"images", counts.images},
                            {"energy_calls", counts.chains.calls},
                            {"chain_steps", counts.chains.moves},
                            {"waiting", counts.chains.waiting},
                            {"curvature_calls", counts.chains.curvature},
                            {"classifier_calls", counts.classifier_calls},
                            {"classifier_gradients", counts.classifier_gradients}});
  write_durably(run / "cost.json", text_of(json));
}

std::string result_json(const fs::path& run, const EvaluationResult& result, const std::vector<std::string>& classes,
                        const std::vector<std::string>& notes) {
  double seconds = 0;
  const auto cost = read_cost(run);
  for (const auto& start : cost["starts"]) seconds += start.value("seconds", 0.0);
  Json protocols = Json::object();
  for (const auto& rule : result.rules) protocols[rule.rule] = rule_json(rule);
  return text_of({{"images", result.images},
                  {"natural_accuracy", result.natural.share.value},
                  {"robust_accuracy", result.robust ? Json(*result.robust) : Json(nullptr)},
                  {"natural", rule_json(result.natural)},
                  {"protocols", protocols},
                  {"accuracy_by_step", numbers(result.accuracy_by_step)},
                  {"accuracy_by_step_rule", result.curve_rule},
                  {"gradient_cosine_by_step", numbers(result.cosine_by_step)},
                  {"zero_gradients", result.zero_gradients},
                  {"replicate_agreement", result.replicate_agreement},
                  {"warnings", result.warnings},
                  {"notes", notes},
                  {"classes", classes},
                  {"image_steps", result.image_steps},
                  {"seconds", seconds}});
}

void print_result(const EvaluationResult& result, const std::vector<std::string>& notes) {
  const auto line = [](const char* what, const RuleResult& rule) {
    fmt::print("{:<22} {:.4f}  [{:.4f}, {:.4f}] over {} images, [{:.4f}, {:.4f}] with the judge redrawn\n", what,
               rule.share.value, rule.share.low, rule.share.high, rule.count, rule.noise_low, rule.noise_high);
  };
  line("natural", result.natural);
  for (const auto& rule : result.rules) line(rule.rule.c_str(), rule);
  for (const auto& note : notes) fmt::print("note: {}\n", note);
  for (const auto& warning : result.warnings) fmt::print("warning: {}\n", warning);
}

}  // namespace langrun::launch
