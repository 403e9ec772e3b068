#include "launch/sweep_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "core/error.h"

namespace langrun::launch {
namespace {

constexpr const char* kExample =
    "for example --sweep attack.eps=2,4,8 ; several words stand between blanks, keys that change together as "
    "attack.norm:attack.eps=linf:8,l2:0.5";

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

bool may_be_swept(const std::string& key, const OptionTable& table) {
  // Points have to be of the same images, scored by the same rules.
  static const std::set<std::string> fixed{"data", "images", "images-file", "protocols", "job"};
  const auto& options = table.options();
  const auto known =
      std::find_if(options.begin(), options.end(), [&](const Option& option) { return option.key == key; });
  return known != options.end() && known->keep == Keep::recorded && !fixed.contains(key);
}

SweptKeys read_word(const std::string& word, const OptionTable& table) {
  const auto equal = std::min(word.find('='), word.size());
  SweptKeys swept{split(word.substr(0, equal), ':'), {}};
  const bool known = std::all_of(swept.keys.begin(), swept.keys.end(),
                                 [&](const std::string& key) { return may_be_swept(key, table); });
  for (const auto& value : split(word.substr(std::min(equal + 1, word.size())), ','))
    swept.values.push_back(swept.keys.size() == 1 ? std::vector<std::string>{value} : split(value, ':'));
  const bool whole = std::all_of(swept.values.begin(), swept.values.end(),
                                 [&](const auto& values) { return values.size() == swept.keys.size(); });
  if (swept.keys.empty() || swept.values.empty() || !known || !whole)
    throw Error(ExitCode::usage,
                fmt::format("--sweep {}: expected KEY=VALUE,VALUE of an option of the evaluation", word), kExample);
  return swept;
}

}  // namespace

std::vector<SweptKeys> swept_keys(const std::string& text, const OptionTable& table) {
  std::vector<SweptKeys> words;
  std::set<std::string> seen;
  for (const auto& word : split(text, ' ')) {
    words.push_back(read_word(word, table));
    for (const auto& key : words.back().keys)
      if (!seen.insert(key).second)
        throw Error(ExitCode::usage, fmt::format("--sweep changes {} twice", key), "give all its values in one word");
  }
  if (words.empty()) throw Error(ExitCode::usage, "--sweep names no key", kExample);
  return words;
}

std::vector<SweepSettings> combinations(const std::vector<SweptKeys>& words) {
  std::vector<SweepSettings> all{{}};
  for (const auto& word : words) {
    std::vector<SweepSettings> longer;
    for (const auto& one : all)
      for (const auto& values : word.values) {
        longer.push_back(one);
        for (std::size_t k = 0; k < word.keys.size(); ++k) longer.back().emplace_back(word.keys[k], values[k]);
      }
    all = std::move(longer);
  }
  return all;
}

}  // namespace langrun::launch
