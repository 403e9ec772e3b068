#include "launch/evaluation_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "data/durable.h"
#include "data/image_store.h"

namespace langrun::launch {
namespace {

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

/// "section.key" and value of all that is part of the records, in the order of the text.
std::vector<std::pair<std::string, std::string>> settings_of(const std::string& text) {
  static const std::set<std::string> changeable{"engine.calls", "engine.images", "engine.order", "watchdog.limit"};
  std::vector<std::pair<std::string, std::string>> settings;
  std::string section;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("[")) section = line.substr(1, line.find(']') - 1) + ".";
    const auto equal = line.find('=');
    if (line.starts_with("[") || line.starts_with("#") || equal == std::string::npos) continue;
    const auto key = section + trimmed(line.substr(0, equal));
    if (!changeable.contains(key)) settings.emplace_back(key, trimmed(line.substr(equal + 1)));
  }
  return settings;
}

std::string checksum_of_pixels(const ImageStore& store, const std::vector<std::uint64_t>& images) {
  constexpr std::size_t kMostBytes = 1 << 24;  // at a time
  const auto rows = std::max<std::size_t>(kMostBytes / store.image_bytes(), 1);
  Checksum sum;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int64_t> labels;
  for (std::size_t first = 0; first < images.size(); first += rows) {
    const auto some = std::span(images).subspan(first, std::min(rows, images.size() - first));
    pixels.resize(some.size() * store.image_bytes());
    labels.resize(some.size());
    store.read(some, pixels);
    store.read_labels(some, labels);
    sum.add(std::as_bytes(std::span(pixels)));
    sum.add(std::as_bytes(std::span(labels)));
  }
  return sum.text();
}

}  // namespace

std::string evaluation_inputs(const JudgeFacts& judge, const EvaluationConfig& config) {
  Checksum list;
  list.add(std::as_bytes(std::span(config.images)));
  return fmt::format("[classifier]\nchecksum = {}\n[images]\nchecksum = {}\n[data]\nchecksum = {}\n", judge.checksum,
                     list.text(), checksum_of_pixels(ImageStore::open(config.data), config.images));
}

std::string evaluation_head(const std::string& run_cfg, const JudgeFacts& judge, const EvaluationConfig& config) {
  return run_cfg + evaluation_inputs(judge, config);
}

void check_same_inputs(const std::string& written, const std::string& now, const std::string& other) {
  const auto before = settings_of(written), after = settings_of(now);
  const std::map<std::string, std::string> there(before.begin(), before.end()), here(after.begin(), after.end());
  for (const auto& [key, what] :
       {std::pair{"classifier.checksum", "classifier"}, std::pair{"images.checksum", "list of images"},
        std::pair{"data.checksum", "set of images"}}) {
    const auto one = there.find(key), same = here.find(key);
    if (one == there.end() || same == here.end() || one->second == same->second) continue;
    throw Error(ExitCode::usage,
                fmt::format("another {} than that of {}: {} is '{}' there, '{}' now", what, other, key, one->second,
                            same->second),
                "points of one sweep are compared: put back what they began with, or sweep into another folder");
  }
}

void check_same_evaluation(const std::string& written, const std::string& now, const std::filesystem::path& path) {
  const auto before = settings_of(written), after = settings_of(now);
  const std::map<std::string, std::string> there(before.begin(), before.end()), here(after.begin(), after.end());
  auto keys = after;
  keys.insert(keys.end(), before.begin(), before.end());
  const auto value = [](const auto& settings, const std::string& key) {
    const auto found = settings.find(key);
    return found == settings.end() ? std::string("nothing") : "'" + found->second + "'";
  };
  for (const auto& [key, unused] : keys) {
    const bool both = there.contains(key) && here.contains(key);
    if (key.ends_with(".checksum") && !both) continue;  // of a text that does not say
    if (value(there, key) == value(here, key)) continue;
    const auto what = key == "images.checksum" ? " (the list of images)"
                      : key == "data.checksum" ? " (the images)"
                                               : "";
    throw Error(ExitCode::usage,
                fmt::format("{} was written under another configuration: {} differs{}: {} there, {} now", path.string(),
                            key, what, value(there, key), value(here, key)),
                "records of two configurations cannot be one evaluation: use another folder");
  }
}

}  // namespace langrun::launch
