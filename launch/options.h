// Typed options of a command: one table says key, type, unit, default, range and help; the command line, the preset and
// configuration files, --help, the start table and run.cfg all come from it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/nearest.h"

namespace langrun::launch {

/// Inclusive bounds of a numeric option.
template <typename T>
struct Range {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
};

/// Where an option may appear and what becomes of it.
enum class Keep {
  recorded,    ///< part of run.cfg: the run's configuration; a resume must agree with it
  changeable,  ///< part of run.cfg, but a resume may give another value (steps, checkpoint.*, watchdog.*)
  transient,   ///< of this call alone: not in run.cfg (run, resume, stop-at, stop-after)
};

/// One key and the field it sets.
struct Option {
  std::string key;   ///< "langevin.steps", as in files and on the command line
  std::string type;  ///< "integer", "real", "text", "flag" or "a|b|c"
  std::string unit;  ///< "steps", "images", ...; may be empty
  std::string help;  ///< one sentence
  Keep keep = Keep::recorded;
  bool flag = false;                            ///< needs no value on the command line
  std::function<void(const std::string&)> set;  ///< parses, checks and stores; throws std::invalid_argument
  std::function<std::string()> get;             ///< current value as text that `set` reads back to the same bits
};

/// Keys and values of a configuration text, in its order. `where` names it in messages. Throws Error(usage) where it is
/// malformed.
std::vector<std::pair<std::string, std::string>> settings_of(const std::string& text, const std::string& where);

/// What a configuration text says of `key`, whatever other keys it has; nothing where it does not. `where` names it in
/// messages. Throws Error(usage) where it is malformed.
std::optional<std::string> configured(const std::string& text, const std::string& key, const std::string& where);

/// A built-in set of values by name, in configuration-file syntax.
struct Preset {
  std::string name;
  std::string text;
};

/// The options of one command. Fields are bound by reference and must outlive the table; their values at binding
/// are the defaults.
class OptionTable {
 public:
  explicit OptionTable(std::string command) : command_(std::move(command)) {}

  void integer(const std::string& key, std::int64_t& field, const std::string& unit, const std::string& help,
               Range<std::int64_t> range = {}, Keep keep = Keep::recorded);
  void real(const std::string& key, double& field, const std::string& unit, const std::string& help,
            Range<double> range = {}, Keep keep = Keep::recorded);
  void text(const std::string& key, std::string& field, const std::string& help, Keep keep = Keep::recorded);
  void flag(const std::string& key, bool& field, const std::string& help, Keep keep = Keep::recorded);
  /// A text that must be one of `choices`.
  void choice(const std::string& key, std::string& field, std::vector<std::string> choices, const std::string& help,
              Keep keep = Keep::recorded);
  /// A word without a key, in the order of these calls; all are required unless `optional`. `rest` takes all that
  /// follow.
  void positional(const std::string& name, std::string& field, const std::string& help, bool optional = false);
  void positional_rest(const std::string& name, std::vector<std::string>& field, const std::string& help);

  void presets(std::vector<Preset> presets) { presets_ = std::move(presets); }

  /// Reads the arguments after the command: --preset, then --config files in order, then options; later wins.
  /// Throws Error(usage) for an unknown key (the nearest one is the hint), a missing, malformed or out-of-range value.
  void parse(const std::vector<std::string>& arguments);
  /// Reads one configuration text (run.cfg, a preset); `where` names it in messages.
  void read_config(const std::string& text, const std::string& where);

  bool help_asked() const { return help_asked_; }
  bool presets_asked() const { return presets_asked_; }
  bool dry_run() const { return dry_run_; }
  /// Keys given on the command line, through --config or through a preset.
  bool given(const std::string& key) const;
  /// The same without the preset's: its values are defaults, which what was asked for may overrule.
  bool asked(const std::string& key) const;
  /// The preset that was named; empty: none.
  const std::string& preset() const { return preset_; }

  /// The text of `langrun COMMAND --help`, generated from the table.
  std::string help(const std::string& summary) const;
  std::string preset_list() const;
  /// Every option with its value, as configuration-file text; transient ones are left out. Throws Error(usage) for a
  /// value that such a file would not give back.
  std::string run_cfg() const;
  const std::vector<Option>& options() const { return options_; }
  const Option& option(const std::string& key) const;

 private:
  struct Positional {
    std::string name, help;
    std::string* field = nullptr;
    std::vector<std::string>* rest = nullptr;
    bool optional = false;
  };
  /// A command line taken apart: keys with values in order, and the words without a key.
  struct Words {
    std::vector<std::pair<std::string, std::string>> settings;
    std::vector<std::string> plain;
  };
  void add(Option option);
  Words split(const std::vector<std::string>& arguments) const;
  void apply_preset(const std::string& name);
  void assign(const std::string& key, const std::string& value, const std::string& where);
  void assign_positionals(const std::vector<std::string>& words);
  [[noreturn]] void unknown(const std::string& key, const std::string& where) const;

  std::string command_;
  std::vector<Option> options_;
  std::vector<Positional> positionals_;
  std::vector<Preset> presets_;
  std::vector<std::string> given_, asked_;
  std::string preset_;
  bool help_asked_ = false, presets_asked_ = false, dry_run_ = false;
};

}  // namespace langrun::launch
