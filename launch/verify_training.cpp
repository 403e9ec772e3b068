#include "launch/verify_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "launch/checked_part.h"
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
CheckedPart checked_records(const fs::path& run, std::int64_t step) {
  CheckedPart part{"run.cfg, provenance.json, metrics.jsonl", "", {}};
  note_problems(part, run / "run.cfg", [&] { check_configuration(run, step, part.problems); });
  note_problems(part, run / "provenance.json", [&] { (void)newest_generation(run); });
  note_problems(part, run / "metrics.jsonl", [&] { check_metrics(run, step, part.problems); });
  return part;
}

CheckedPart checked_home(const fs::path& home) {
  CheckedPart part{home.filename().string(), "", problems_of_home(home)};
  std::error_code none;
  if (!fs::exists(fs::symlink_status(home / "latest", none)))
    part.problems.insert(part.problems.begin(), fmt::format("{}: names no checkpoint", (home / "latest").string()));
  return part;
}

void check_training(const fs::path& dir, const Seen& seen) {
  const auto home = checkpoint_home(dir);
  const auto steps = checkpoint_steps(home);
  if (steps.empty()) throw Error(ExitCode::storage, fmt::format("{} has no checkpoint", dir.string()));
  seen(checked_home(home));
  std::optional<std::int64_t> good;
  for (const auto step : steps) {
    const CheckedPart part{checkpoint_name(step), "", problems_of(home / checkpoint_name(step))};
    seen(part);
    if (part.problems.empty()) good = step;
  }
  if (good) seen(checked_records(dir, *good));
}

}  // namespace

bool may_change(std::string_view key) {
  static constexpr std::array kSections{"checkpoint.", "divergence.", "watchdog."};
  return key == "steps" || std::any_of(kSections.begin(), kSections.end(),
                                       [&](std::string_view section) { return key.starts_with(section); });
}

void verify_training(const fs::path& dir) {
  tell_parts(
      [&](const Seen& seen) { check_training(dir, seen); },
      "a resume uses the newest good checkpoint and passes damaged ones over; bring other files back from a copy");
}

}  // namespace langrun::launch
