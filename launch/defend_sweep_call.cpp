#include "launch/defend_sweep_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "launch/defend_options.h"
#include "launch/presets.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char *kFile = "sweep.cfg", *kSweep = "sweep";

/// A file that was never finished is none.
bool holds_anything(const fs::path& run) {
  if (!fs::exists(run)) return false;
  if (!fs::is_directory(run)) return true;
  return std::any_of(fs::directory_iterator(run), fs::directory_iterator(),
                     [](const auto& entry) { return entry.path().extension() != ".partial"; });
}

}  // namespace

KeptSweep kept_sweep(Communicator& world, const fs::path& run) {
  const auto text = on_root(world, "look for a sweep", [&] {
    const auto cfg = run / kFile, mark = run / "sweep.txt";
    const auto configuration = fs::exists(cfg) ? read_text(cfg) : "";
    const auto sweep = !configuration.empty() ? sweep_of(configuration)
                       : fs::exists(mark)     ? trimmed_sweep(read_text(mark))
                                              : "";
    return Json{{"used", holds_anything(run)}, {"sweep", sweep}, {"configuration", configuration}}.dump(
        -1, ' ', false, Json::error_handler_t::replace);
  });
  const auto seen = Json::parse(text);
  return {seen["used"], seen["sweep"], seen["configuration"]};
}

std::string sweep_configuration(const OptionTable& asked, const std::string& sweep) {
  std::string text = "# the call that began this sweep; points that are not there yet begin with it\n";
  if (!asked.preset().empty()) text += fmt::format("preset = {}\n", asked.preset());
  for (const auto& option : asked.options())
    if (asked.asked(option.key) && option.keep != Keep::transient)
      text += fmt::format("{} = {}\n", option.key, option.get());
  return text + fmt::format("{} = {}\n", kSweep, sweep);
}

std::string trimmed_sweep(const std::string& text) {
  constexpr const char* kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string sweep_of(const std::string& configuration) { return configured(configuration, kSweep, kFile).value_or(""); }

std::vector<std::string> kept_words(const std::string& configuration) {
  std::vector<std::string> words;
  for (const auto& [key, value] : settings_of(configuration, kFile))
    if (key != kSweep) words.insert(words.end(), {"--" + key, value});
  return words;
}

std::vector<std::string> words_to_go_on(const std::string& configuration, const OptionTable& asked,
                                        const std::string& where) {
  constexpr const char* kHint =
      "leave it out: a sweep goes on with the options that it began with; or sweep into another folder";
  auto words = kept_words(configuration);
  DefendOptions options;
  OptionTable began("defend");
  bind_defend(began, options);
  began.presets(presets_of("defend"));
  began.parse(words);
  if (!asked.preset().empty() && asked.preset() != began.preset())
    throw Error(ExitCode::usage,
                fmt::format("--preset {} was given, {} has {}", asked.preset(), where,
                            began.preset().empty() ? "none" : began.preset()),
                kHint);
  for (const auto& option : asked.options()) {
    if (!asked.asked(option.key) || option.keep == Keep::transient) continue;
    const auto before = began.option(option.key).get();
    if (before == option.get()) continue;
    if (option.keep == Keep::recorded)
      throw Error(ExitCode::usage,
                  fmt::format("--{} {} was given, {} has '{}'", option.key, option.get(), where, before), kHint);
    words.insert(words.end(), {"--" + option.key, option.get()});
  }
  return words;
}

}  // namespace langrun::launch
