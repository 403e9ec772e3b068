#include "launch/run_diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/hdf5.h"
#include "data/json_depth.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Timers tell of the machine, not of the mathematics.
bool is_timer(const std::string& key) { return key.starts_with("seconds") || key == "image_steps_per_second"; }

void require_run(const fs::path& run) {
  if (fs::exists(run / "run.cfg")) return;
  if (fs::exists(run / "sweep.txt") || fs::exists(run / "sweep.cfg"))
    throw Error(ExitCode::input, fmt::format("{} is the folder of a sweep, expected that of a run", run.string()),
                "its points are compared one by one: `langrun run diff A/points/000 B/points/000`");
  throw Error(ExitCode::input, fmt::format("{} is not the folder of a run: it has no run.cfg", run.string()));
}

json parse_line(const std::string& line, const fs::path& path) {
  try {
    if (!nested_too_deep(line)) return json::parse(line);
  } catch (const json::exception&) {
  }
  throw Error(ExitCode::input, fmt::format("{}: a line is damaged: {}", path.string(), line.substr(0, 80)));
}

std::string show(const json& object, const std::string& key) {
  return object.contains(key) ? object[key].dump() : "absent";
}

/// " element I" where both lines hold arrays of one length under `key`: what differs among a hundred counts is named.
std::string element_that_differs(const json& one, const json& other, const std::string& key) {
  if (!one.contains(key) || !other.contains(key)) return "";
  const auto &a = one[key], &b = other[key];
  if (!a.is_array() || !b.is_array() || a.size() != b.size()) return "";
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].dump() != b[i].dump()) return fmt::format(" element {}", i);
  return "";
}

std::optional<std::string> compare_metrics(const fs::path& a, const fs::path& b, std::int64_t& lines) {
  for (const auto& run : {a, b}) require_regular(run / "metrics.jsonl");
  std::ifstream in_a(a / "metrics.jsonl"), in_b(b / "metrics.jsonl");
  std::string line_a, line_b;
  for (;; ++lines) {
    const bool has_a = static_cast<bool>(std::getline(in_a, line_a)),
               has_b = static_cast<bool>(std::getline(in_b, line_b));
    if (!has_a && !has_b) return std::nullopt;
    if (has_a != has_b) return fmt::format("metrics: only {} goes on after step {}", (has_a ? a : b).string(), lines);
    const auto one = parse_line(line_a, a), other = parse_line(line_b, b);
    if (show(one, "step") != show(other, "step"))
      return fmt::format("metrics: line {} is step {} in {}, step {} in {}", lines + 1, show(one, "step"), a.string(),
                         show(other, "step"), b.string());
    std::set<std::string> keys;
    for (const auto& item : one.items()) keys.insert(item.key());
    for (const auto& item : other.items()) keys.insert(item.key());
    for (const auto& key : keys)
      if (!is_timer(key) && show(one, key) != show(other, key))
        return fmt::format("metrics: step {}, {}{}: {} | {}", show(one, "step"), key,
                           element_that_differs(one, other, key), show(one, key), show(other, key));
  }
}

std::string place_of(std::uint64_t element, const h5::Shape& shape) {
  std::vector<std::uint64_t> index(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    index[d] = element % shape[d];
    element /= shape[d];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

std::string value_text(const std::vector<std::byte>& values, std::uint64_t element, h5::Type type) {
  const auto* at = values.data() + element * h5::bytes_of(type);
  const auto as = [&]<typename T>(T value) {
    std::memcpy(&value, at, sizeof value);
    return fmt::format("{}", value);
  };
  switch (type) {
    case h5::Type::u8: return as(std::uint8_t{});
    case h5::Type::i32: return as(std::int32_t{});
    case h5::Type::i64: return as(std::int64_t{});
    case h5::Type::u64: return as(std::uint64_t{});
    case h5::Type::f32: return as(float{});
    case h5::Type::f64: return as(double{});
  }
  return "?";
}

std::optional<std::string> compare_datasets(const h5::File& a, const h5::File& b, const std::string& name,
                                            const std::string& where) {
  const auto one = a.dataset(name), other = b.dataset(name);
  if (one.type() != other.type() || one.shape() != other.shape())
    return fmt::format("{}: {}: {} {} | {} {}", where, name, h5::name_of(one.type()), h5::to_text(one.shape()),
                       h5::name_of(other.type()), h5::to_text(other.shape()));
  const auto size = h5::bytes_of(one.type());
  const auto count = h5::elements(one.shape());
  std::vector<std::byte> values_a(count * size), values_b(count * size);
  one.read_all(one.type(), values_a.data());
  other.read_all(other.type(), values_b.data());
  const auto first = std::mismatch(values_a.begin(), values_a.end(), values_b.begin()).first;
  if (first == values_a.end()) return std::nullopt;
  const auto element = static_cast<std::uint64_t>(first - values_a.begin()) / size;
  return fmt::format("{}: {}: element {}: {} | {}", where, name, place_of(element, one.shape()),
                     value_text(values_a, element, one.type()), value_text(values_b, element, one.type()));
}

std::optional<std::string> compare_groups(const h5::File& a, const h5::File& b, const std::string& group,
                                          const std::string& where, std::int64_t& datasets) {
  const auto in_a = a.children(group), in_b = b.children(group);
  if (in_a != in_b)
    return fmt::format("{}: {} holds [{}] | [{}]", where, group, fmt::join(in_a, ", "), fmt::join(in_b, ", "));
  for (const auto& child : in_a) {
    const auto name = (group == "/" ? "" : group) + "/" + child;
    std::optional<std::string> difference;
    if (a.is_group(name)) {
      difference = compare_groups(a, b, name, where, datasets);
    } else {
      ++datasets;
      difference = compare_datasets(a, b, name, where);
    }
    if (difference) return difference;
  }
  return std::nullopt;
}

std::vector<std::string> hdf5_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.path().extension() == ".h5") names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> compare_folders(const fs::path& a, const fs::path& b, const std::string& where,
                                           std::int64_t& datasets) {
  const auto in_a = hdf5_files(a), in_b = hdf5_files(b);
  if (in_a != in_b) return fmt::format("{}: files [{}] | [{}]", where, fmt::join(in_a, ", "), fmt::join(in_b, ", "));
  for (const auto& name : in_a)
    if (auto difference =
            compare_groups(h5::File::open(a / name), h5::File::open(b / name), "/", where + name, datasets))
      return difference;
  return std::nullopt;
}

// The newest checkpoint is what is compared: half of one would have fewer datasets and no difference.
void refuse_damaged(const fs::path& run) {
  const auto home = checkpoint_home(run);
  const auto steps = checkpoint_steps(home);
  if (steps.empty()) return;
  const auto problems = problems_of(home / checkpoint_name(steps.back()));
  if (!problems.empty())
    throw Error(ExitCode::storage, problems.front(), "`langrun run verify DIR` lists all that is damaged");
}

// Two runs that have lost their metrics would agree in them.
void refuse_lost_metrics(const fs::path& run, const fs::path& home) {
  if (checkpoint_steps(home).empty() || fs::exists(run / "metrics.jsonl")) return;
  throw Error(ExitCode::storage, fmt::format("{} has a checkpoint, and its metrics.jsonl is gone", run.string()),
              "bring it back from a copy; without it there is less to compare");
}

}  // namespace

Comparison compare_runs(const fs::path& a, const fs::path& b) {
  require_run(a);
  require_run(b);
  for (const auto& run : {a, b}) refuse_damaged(run);
  Comparison result;
  result.difference = compare_metrics(a, b, result.metrics_lines);
  if (result.difference) return result;
  const auto home_a = checkpoint_home(a), home_b = checkpoint_home(b);
  refuse_lost_metrics(a, home_a);
  refuse_lost_metrics(b, home_b);
  const auto steps_a = checkpoint_steps(home_a), steps_b = checkpoint_steps(home_b);
  if (steps_a.empty() != steps_b.empty() || (!steps_a.empty() && steps_a.back() != steps_b.back())) {
    const auto newest = [](const auto& steps) { return steps.empty() ? "none" : checkpoint_name(steps.back()); };
    result.difference = fmt::format("newest checkpoint: {} | {}", newest(steps_a), newest(steps_b));
    return result;
  }
  if (!steps_a.empty()) {
    const auto newest = checkpoint_name(steps_a.back());
    result.difference =
        compare_folders(home_a / newest, home_b / newest, fmt::format("step {}, ", steps_a.back()), result.datasets);
  }
  if (!result.difference) result.difference = compare_folders(a, b, "", result.datasets);
  return result;
}

}  // namespace langrun::launch
