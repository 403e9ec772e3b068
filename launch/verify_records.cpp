#include "launch/verify_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "launch/metrics.h"
#include "launch/options.h"
#include "launch/provenance.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

/// By value where both are numbers: a person may write 1e-2 for 0.01.
bool alike(std::string_view one, std::string_view other) {
  double a = 0, b = 0;
  const auto is_number = [](std::string_view text, double& value) {
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failure == std::errc() && end == text.data() + text.size();
  };
  return one == other || (is_number(one, a) && is_number(other, b) && a == b);
}

/// What `look` throws is a problem too.
template <typename Look>
void note_problems(std::vector<std::string>& problems, const Look& look) {
  try {
    look();
  } catch (const Error& failure) {
    problems.emplace_back(failure.what());
  }
}

void check_configuration(const fs::path& run, std::int64_t step, std::vector<std::string>& problems) {
  const auto path = (run / "run.cfg").string();
  const auto there = settings_of(read_text(run / "run.cfg", kMostConfiguration), path);
  const std::map<std::string, std::string> settings(there.begin(), there.end());
  const auto folder = checkpoint_home(run) / checkpoint_name(step);
  for (const auto& [key, value] : settings_of(read_manifest(folder).configuration, folder.string())) {
    const auto found = settings.find(key);
    if (found == settings.end())
      problems.push_back(fmt::format("{}: {} is missing", path, key));
    else if (!alike(found->second, value) && !may_change(key))
      problems.push_back(
          fmt::format("{}: {} is {}, but the newest checkpoint was made with {}", path, key, found->second, value));
  }
}

void check_metrics(const fs::path& run, std::int64_t step, std::vector<std::string>& problems) {
  const auto path = run / "metrics.jsonl";
  std::error_code none;
  if (!fs::exists(path, none)) return problems.push_back(fmt::format("{}: is missing", path.string()));
  const auto lines = MetricsWriter::look(path, step);
  if (!lines.missing.empty()) problems.push_back(fmt::format("{}: {}", path.string(), lines.missing));
}

}  // namespace

bool may_change(std::string_view key) {
  static constexpr std::array kSections{"checkpoint.", "divergence.", "watchdog."};
  return key == "steps" || std::any_of(kSections.begin(), kSections.end(),
                                       [&](std::string_view section) { return key.starts_with(section); });
}

std::vector<std::string> problems_of_records(const fs::path& run, std::int64_t step) {
  std::vector<std::string> problems;
  note_problems(problems, [&] { check_configuration(run, step, problems); });
  note_problems(problems, [&] { (void)newest_generation(run); });
  note_problems(problems, [&] { check_metrics(run, step, problems); });
  return problems;
}

}  // namespace langrun::launch
