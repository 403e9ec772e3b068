#include "launch/start_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace langrun::launch {
namespace {

struct Row {
  std::string name, value, unit;
  bool given = false;
};
struct Section {
  std::string title;
  std::vector<Row> rows;
};

std::vector<Section> sections_of(const OptionTable& options, const std::vector<Fact>& derived) {
  std::vector<Section> sections{{"general", {}}};
  for (const auto& option : options.options()) {
    const auto point = option.key.find('.');
    const auto title = point == std::string::npos ? "general" : option.key.substr(0, point);
    auto found = std::find_if(sections.begin(), sections.end(), [&](const Section& s) { return s.title == title; });
    if (found == sections.end()) found = sections.insert(sections.end(), {title, {}});
    const auto value = option.get();
    found->rows.push_back(
        {option.key.substr(point + 1), value.empty() ? "-" : value, option.unit, options.given(option.key)});
  }
  Section& last = sections.emplace_back(Section{"derived", {}});
  for (const auto& number : derived) last.rows.push_back({number.name, number.value, ""});
  return sections;
}

}  // namespace

std::string start_table(const OptionTable& options, const std::vector<Fact>& derived) {
  const auto sections = sections_of(options, derived);
  std::size_t name_width = 0, value_width = 0;
  for (const auto& section : sections)
    for (const auto& row : section.rows) {
      name_width = std::max(name_width, row.name.size());
      // Long paths do not push every unit to the far right.
      value_width = std::max(value_width, std::min<std::size_t>(row.value.size(), 24));
    }
  std::string text;
  for (const auto& section : sections) {
    if (section.rows.empty()) continue;
    text += fmt::format("{}{}\n", text.empty() ? "" : "\n", section.title);
    for (const auto& row : section.rows) {
      auto line = fmt::format("{} {:<{}}  {:>{}} {}", row.given ? '*' : ' ', row.name, name_width, row.value,
                              value_width, row.unit);
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
  }
  return text + "\n(* given here, in a file or by the preset; the others are defaults)\n";
}

void print_start_table(std::FILE* out, const OptionTable& options, const std::vector<Fact>& derived) {
  const auto text = start_table(options, derived);
  std::fwrite(text.data(), 1, text.size(), out);
  std::fflush(out);
}

}  // namespace langrun::launch
