#include "launch/verify_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// Of a run whose newest good checkpoint is that of `step`.
std::vector<std::string> problems_of_records(const fs::path& run, std::int64_t step) {
  std::vector<std::string> problems;
  note_problems(problems, [&] { check_configuration(run, step, problems); });
  note_problems(problems, [&] { (void)newest_generation(run); });
  note_problems(problems, [&] { check_metrics(run, step, problems); });
  return problems;
}

std::vector<std::string> problems_of_links(const fs::path& home) {
  auto problems = problems_of_home(home);
  std::error_code none;
  if (!fs::exists(fs::symlink_status(home / "latest", none)))
    problems.insert(problems.begin(), fmt::format("{}: names no checkpoint", (home / "latest").string()));
  return problems;
}

void tell(const std::string& what, const std::vector<std::string>& problems) {
  fmt::print("{}  {}\n", what, problems.empty() ? "good" : "damaged");
  for (const auto& problem : problems) fmt::print("  {}\n", problem);
}

}  // namespace

bool may_change(std::string_view key) {
  static constexpr std::array kSections{"checkpoint.", "divergence.", "watchdog."};
  return key == "steps" || std::any_of(kSections.begin(), kSections.end(),
                                       [&](std::string_view section) { return key.starts_with(section); });
}

void verify_training(const fs::path& dir) {
  const auto home = checkpoint_home(dir);
  const auto steps = checkpoint_steps(home);
  if (steps.empty()) throw Error(ExitCode::storage, fmt::format("{} has no checkpoint", dir.string()));
  auto all = problems_of_links(home);
  const auto note = [&](const std::string& what, const std::vector<std::string>& problems) {
    tell(what, problems);
    all.insert(all.end(), problems.begin(), problems.end());
    return problems.empty();
  };
  std::optional<std::int64_t> good;
  for (const auto step : steps)
    if (note(checkpoint_name(step), problems_of(home / checkpoint_name(step)))) good = step;
  if (good) note("run.cfg, provenance.json, metrics.jsonl", problems_of_records(dir, *good));
  if (all.empty()) return;
  std::fflush(stdout);
  throw Error(
      ExitCode::storage,
      fmt::format("{} found: {}", all.size() == 1 ? std::string("1 problem") : fmt::format("{} problems", all.size()),
                  all.front()),
      "a resume uses the newest good checkpoint and passes damaged ones over; bring other files back from a copy");
}

}  // namespace langrun::launch
