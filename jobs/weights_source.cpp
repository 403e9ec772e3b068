#include "jobs/weights_source.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/torch.h"
#include "data/checkpoint.h"
#include "distributed/agreement.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

double number(const WeightFacts& facts, const char* key, const std::string& where) {
  const auto found = facts.find(key);
  if (found == facts.end()) return 0;
  double value = 0;
  const auto& text = found->second;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || !(value >= 0))
    throw Error(ExitCode::input, fmt::format("{}: attribute {} is '{}', expected a number", where, key, text));
  return value;
}

}  // namespace

std::string find_weights(Communicator& world, const std::string& name, const std::string& what, bool may_be_missing,
                         const PassedOver& passed_over) {
  return on_root(world, ("look for the " + what).c_str(), [&]() -> std::string {
    const auto hint = fmt::format("name a run folder or a file of weights as the {}", what);
    if (!fs::exists(name)) {
      if (may_be_missing) return "";
      throw Error(ExitCode::input, fmt::format("{} {} does not exist", what, name), hint);
    }
    if (!fs::is_directory(name)) return name;
    std::vector<std::string> damaged;
    const auto home = checkpoint_home(name);
    const auto newest = newest_good_checkpoint(home, damaged);
    if (!newest && may_be_missing) return "";
    if (!newest) throw Error(ExitCode::input, fmt::format("{} has no checkpoint of a run", name), hint);
    if (!damaged.empty() && passed_over) passed_over(damaged);
    return (home / checkpoint_name(*newest) / "weights.h5").string();
  });
}

std::string chosen_part(const WeightsFile& file, const std::string& part, const std::string& weights) {
  const bool average = weights == "average" || (weights == "best" && file.has(part + "_average"));
  return average ? part + "_average" : part;
}

TrainedEnergy read_energy(const WeightsFile& file, const std::string& part) {
  const auto facts = file.facts(part);
  const auto where = file.path().string();
  TrainedEnergy trained;
  trained.config = energy_config(facts, where);
  trained.temperature = number(facts, "temperature", where);
  trained.tau = number(facts, "tau", where);
  trained.network = make_energy(trained.config, 1);
  read_part(file, part, named_state(*trained.network));
  return trained;
}

}  // namespace langrun
