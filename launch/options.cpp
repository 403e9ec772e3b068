#include "launch/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/error.h"

namespace po = boost::program_options;

namespace langrun::launch {
namespace {

constexpr auto kStyle = po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent |
                        po::command_line_style::long_allow_next;

constexpr std::size_t kMostConfiguration = std::size_t{1} << 20;

template <typename T>
T parse_number(const std::string& text, const char* kind) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure == std::errc::result_out_of_range) throw std::invalid_argument("does not fit the type");
  if (failure != std::errc{} || stop != end) throw std::invalid_argument(fmt::format("expected {}", kind));
  return value;
}

template <typename T>
void check_range(T value, const Range<T>& range) {
  if (value >= range.low && value <= range.high) return;
  if (range.high == std::numeric_limits<T>::max())
    throw std::invalid_argument(fmt::format("expected at least {}", range.low));
  throw std::invalid_argument(fmt::format("expected {} to {}", range.low, range.high));
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path))
    throw Error(ExitCode::usage, fmt::format("cannot read configuration file {}", path), "check the path");
  // A device gives without end, and a file of another kind may be of any size.
  std::string text(kMostConfiguration + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMostConfiguration)
    throw Error(ExitCode::usage, fmt::format("configuration file {} holds over {} bytes", path, kMostConfiguration),
                "expected lines such as 'steps = 100' under '[langevin]'");
  return text;
}

bool is_utf8(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto head = static_cast<unsigned char>(text[at++]);
    const int more = head < 0x80 ? 0 : head >= 0xc2 && head < 0xe0 ? 1 : head < 0xf0 ? 2 : head < 0xf5 ? 3 : -1;
    if (more < 0 || (head >= 0x80 && head < 0xc2)) return false;
    for (int i = 0; i < more; ++i, ++at)
      if (at == text.size() || (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80) return false;
  }
  return true;
}

// A configuration file would give back another value: '#' begins a comment there, lines end, edges are trimmed.
void refuse_unwritable(const std::string& key, const std::string& value) {
  constexpr const char* kBlank = " \t\r";
  if (value.empty()) return;
  const bool edges = std::string(kBlank).find(value.front()) != std::string::npos ||
                     std::string(kBlank).find(value.back()) != std::string::npos;
  if (edges || value.find_first_of("#\n") != std::string::npos || !is_utf8(value))
    throw Error(ExitCode::usage, fmt::format("option '{}': '{}' cannot stand in a configuration file", key, value),
                "values hold no '#', no line end, no blank at either edge, and are UTF-8; rename or link the file");
}

}  // namespace

std::vector<std::pair<std::string, std::string>> settings_of(const std::string& text, const std::string& where) {
  std::istringstream in(text);
  std::vector<std::pair<std::string, std::string>> settings;
  try {
    const auto parsed = po::parse_config_file(in, po::options_description(), true);
    for (const auto& entry : parsed.options)
      settings.emplace_back(entry.string_key, entry.value.empty() ? "" : entry.value.front());
  } catch (const po::invalid_config_file_syntax& failure) {
    // Not its what(): that puts the line in the place of "%invalid_line%" for ever where the line itself holds that.
    throw Error(ExitCode::usage, fmt::format("{}: the line '{}' is not understood", where, failure.tokens()),
                "expected lines such as 'steps = 100' under '[langevin]'");
  } catch (const po::error& failure) {
    throw Error(ExitCode::usage, fmt::format("{}: {}", where, failure.what()),
                "expected lines such as 'steps = 100' under '[langevin]'");
  }
  return settings;
}

void OptionTable::add(Option option) { options_.push_back(std::move(option)); }

void OptionTable::integer(const std::string& key, std::int64_t& field, const std::string& unit, const std::string& help,
                          Range<std::int64_t> range, Keep keep) {
  add({key, "integer", unit, help, keep, false,
       [&field, range](const std::string& text) {
         const auto value = parse_number<std::int64_t>(text, "a whole number");
         check_range(value, range);
         field = value;
       },
       [&field] { return fmt::format("{}", field); }});
}

void OptionTable::real(const std::string& key, double& field, const std::string& unit, const std::string& help,
                       Range<double> range, Keep keep) {
  add({key, "real", unit, help, keep, false,
       [&field, range](const std::string& text) {
         const auto value = parse_number<double>(text, "a number");
         if (!std::isfinite(value)) throw std::invalid_argument("expected a finite number");
         check_range(value, range);
         field = value;
       },
       [&field] { return fmt::format("{}", field); }});
}

void OptionTable::text(const std::string& key, std::string& field, const std::string& help, Keep keep) {
  add({key, "text", "", help, keep, false, [&field](const std::string& text) { field = text; },
       [&field] { return field; }});
}

void OptionTable::flag(const std::string& key, bool& field, const std::string& help, Keep keep) {
  add({key, "flag", "", help, keep, true,
       [&field](const std::string& text) {
         if (text.empty() || text == "true" || text == "on" || text == "1")
           field = true;
         else if (text == "false" || text == "off" || text == "0")
           field = false;
         else
           throw std::invalid_argument("expected true or false");
       },
       [&field] { return field ? "true" : "false"; }});
}

void OptionTable::choice(const std::string& key, std::string& field, std::vector<std::string> choices,
                         const std::string& help, Keep keep) {
  const std::string type = fmt::format("{}", fmt::join(choices, "|"));
  add({key, type, "", help, keep, false,
       [&field, choices](const std::string& text) {
         if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
           const auto close = nearest(text, choices);
           throw std::invalid_argument(fmt::format("expected one of {}{}", fmt::join(choices, ", "),
                                                   close.empty() ? "" : fmt::format("; did you mean {}?", close)));
         }
         field = text;
       },
       [&field] { return field; }});
}

void OptionTable::positional(const std::string& name, std::string& field, const std::string& help, bool optional) {
  positionals_.push_back({name, help, &field, nullptr, optional});
}

void OptionTable::positional_rest(const std::string& name, std::vector<std::string>& field, const std::string& help) {
  positionals_.push_back({name, help, nullptr, &field, true});
}

const Option& OptionTable::option(const std::string& key) const {
  for (const auto& option : options_)
    if (option.key == key) return option;
  throw std::logic_error("no option " + key);
}

bool OptionTable::given(const std::string& key) const {
  return std::find(given_.begin(), given_.end(), key) != given_.end();
}

bool OptionTable::asked(const std::string& key) const {
  return std::find(asked_.begin(), asked_.end(), key) != asked_.end();
}

void OptionTable::unknown(const std::string& key, const std::string& where) const {
  std::vector<std::string> keys{"preset", "config", "help", "presets", "dry-run"};
  for (const auto& option : options_) keys.push_back(option.key);
  const auto close = nearest(key, keys);
  throw Error(ExitCode::usage, fmt::format("unknown option '{}' in {}", key, where),
              close.empty() ? fmt::format("`langrun {} --help` lists every option", command_)
                            : fmt::format("did you mean '{}'?", close));
}

void OptionTable::assign(const std::string& key, const std::string& value, const std::string& where) {
  for (auto& option : options_) {
    if (option.key != key) continue;
    try {
      option.set(value);
    } catch (const std::invalid_argument& failure) {
      throw Error(ExitCode::usage, fmt::format("option '{}' in {}: '{}' given, {}", key, where, value, failure.what()),
                  fmt::format("{}{}", option.help, option.unit.empty() ? "" : " [" + option.unit + "]"));
    }
    if (!given(key)) given_.push_back(key);
    if (!asked(key)) asked_.push_back(key);
    return;
  }
  unknown(key, where);
}

void OptionTable::read_config(const std::string& text, const std::string& where) {
  for (const auto& [key, value] : settings_of(text, where)) assign(key, value, where);
}

std::optional<std::string> configured(const std::string& text, const std::string& key, const std::string& where) {
  std::optional<std::string> last;
  for (const auto& [name, value] : settings_of(text, where))
    if (name == key) last = value;
  return last;
}

void OptionTable::assign_positionals(const std::vector<std::string>& words) {
  std::size_t next = 0;
  for (const auto& slot : positionals_) {
    if (slot.rest != nullptr) {
      slot.rest->assign(words.begin() + static_cast<std::ptrdiff_t>(next), words.end());
      return;
    }
    if (next < words.size()) {
      *slot.field = words[next++];
    } else if (!slot.optional) {
      throw Error(ExitCode::usage, fmt::format("langrun {}: {} is missing", command_, slot.name), slot.help);
    }
  }
  if (next < words.size())
    throw Error(ExitCode::usage, fmt::format("langrun {}: '{}' is one word too many", command_, words[next]),
                "options begin with --");
}

OptionTable::Words OptionTable::split(const std::vector<std::string>& arguments) const {
  po::options_description description;
  auto add_option = description.add_options();
  for (const auto& option : options_) {
    if (option.flag)
      add_option(option.key.c_str(), po::value<std::string>()->implicit_value(""));
    else
      add_option(option.key.c_str(), po::value<std::string>());
  }
  for (const char* own : {"preset", "config"}) add_option(own, po::value<std::string>());
  for (const char* own : {"help", "presets", "dry-run"}) add_option(own, "");
  po::positional_options_description words_description;
  words_description.add(" words", -1);
  add_option(" words", po::value<std::vector<std::string>>());

  // Flags take a value only after '=': without this rewriting `--resume DIR` would swallow the next word.
  std::vector<std::string> tokens;
  for (const auto& argument : arguments) {
    // Boost puts a word of this kind into its message again and again where it holds a placeholder of such a message.
    const auto name = argument.substr(0, argument.find('='));
    if (name.starts_with("--") && name.find('%') != std::string::npos) unknown(name.substr(2), "the command line");
    const bool bare_flag = std::any_of(options_.begin(), options_.end(), [&](const Option& option) {
      return option.flag && argument == "--" + option.key;
    });
    tokens.push_back(bare_flag ? argument + "=true" : argument);
  }
  Words words;
  try {
    const auto parsed =
        po::command_line_parser(tokens).options(description).positional(words_description).style(kStyle).run();
    for (const auto& entry : parsed.options) {
      if (entry.string_key == " words")
        words.plain.insert(words.plain.end(), entry.value.begin(), entry.value.end());
      else
        words.settings.emplace_back(entry.string_key, entry.value.empty() ? "" : entry.value.front());
    }
  } catch (const po::unknown_option& failure) {
    auto key = failure.get_option_name();
    key.erase(0, key.find_first_not_of('-'));
    unknown(key.substr(0, key.find('=')), "the command line");
  } catch (const po::error& failure) {
    throw Error(ExitCode::usage, fmt::format("langrun {}: {}", command_, failure.what()),
                fmt::format("`langrun {} --help` lists every option", command_));
  }
  return words;
}

void OptionTable::apply_preset(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& preset : presets_) names.push_back(preset.name);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    const auto close = nearest(name, names);
    if (names.empty()) throw Error(ExitCode::usage, fmt::format("langrun {} has no presets", command_));
    throw Error(
        ExitCode::usage, fmt::format("langrun {} has no preset '{}'", command_, name),
        close.empty() ? fmt::format("presets: {}", fmt::join(names, ", ")) : fmt::format("did you mean '{}'?", close));
  }
  const auto asked = asked_;
  read_config(presets_[static_cast<std::size_t>(found - names.begin())].text, "preset " + name);
  asked_ = asked;
  preset_ = name;
}

void OptionTable::parse(const std::vector<std::string>& arguments) {
  const auto words = split(arguments);
  std::string preset;
  std::vector<std::string> configs;
  std::vector<std::pair<std::string, std::string>> settings;
  for (const auto& [key, value] : words.settings) {
    if (key == "help")
      help_asked_ = true;
    else if (key == "presets")
      presets_asked_ = true;
    else if (key == "dry-run")
      dry_run_ = true;
    else if (key == "preset")
      preset = value;
    else if (key == "config")
      configs.push_back(value);
    else
      settings.emplace_back(key, value);
  }
  if (help_asked_ || presets_asked_) return;
  if (!preset.empty()) apply_preset(preset);
  for (const auto& config : configs) read_config(read_file(config), config);
  for (const auto& [key, value] : settings) assign(key, value, "the command line");
  assign_positionals(words.plain);
}

std::string OptionTable::help(const std::string& summary) const {
  std::string out = fmt::format("langrun {}", command_);
  for (const auto& slot : positionals_)
    out += slot.rest       ? fmt::format(" [{}...]", slot.name)
           : slot.optional ? fmt::format(" [{}]", slot.name)
                           : fmt::format(" {}", slot.name);
  const char* preset = presets_.empty() ? "" : " [--preset NAME]";
  out += fmt::format("{} [--config FILE]... [--KEY VALUE]...\n{}\n\n", preset, summary);
  for (const auto& slot : positionals_) out += fmt::format("  {}  {}\n", slot.name, slot.help);
  out +=
      "Options (key, type, unit, default; the same keys stand in configuration files, section.name as [section] "
      "name):\n";
  for (const auto& option : options_) {
    const auto value = option.get();
    out +=
        fmt::format("  --{} {}{}  (default {})\n      {}\n", option.key, option.type,
                    option.unit.empty() ? "" : " [" + option.unit + "]", value.empty() ? "none" : value, option.help);
  }
  out += presets_.empty() ? "  --config FILE, --dry-run, --help\n      later wins: files in order, options\n"
                          : "  --preset NAME, --config FILE, --presets, --dry-run, --help\n      later wins: preset, "
                            "files in order, options\n";
  return out;
}

std::string OptionTable::preset_list() const {
  std::string out;
  for (const auto& preset : presets_) {
    const auto line = preset.text.substr(0, preset.text.find('\n'));
    out +=
        fmt::format("{:<16} {}\n", preset.name, line.starts_with("#") ? line.substr(line.find_first_not_of("# ")) : "");
  }
  return out;
}

std::string OptionTable::run_cfg() const {
  for (const auto& option : options_)
    if (option.keep != Keep::transient) refuse_unwritable(option.key, option.get());
  std::string plain, sections, current;
  for (const auto& option : options_) {
    if (option.keep == Keep::transient || option.get().empty()) continue;
    const auto dot = option.key.find('.');
    if (dot == std::string::npos) plain += fmt::format("{} = {}\n", option.key, option.get());
  }
  std::vector<std::string> done;
  for (const auto& option : options_) {
    const auto dot = option.key.find('.');
    if (dot == std::string::npos) continue;
    const auto section = option.key.substr(0, dot);
    if (std::find(done.begin(), done.end(), section) != done.end()) continue;
    done.push_back(section);
    std::string body;
    for (const auto& member : options_)
      if (member.key.starts_with(section + ".") && member.keep != Keep::transient && !member.get().empty())
        body += fmt::format("{} = {}\n", member.key.substr(dot + 1), member.get());
    if (!body.empty()) sections += fmt::format("\n[{}]\n{}", section, body);
  }
  return plain + sections;
}

}  // namespace langrun::launch
