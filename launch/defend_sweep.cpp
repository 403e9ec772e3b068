// `defend --sweep key=a,b,c`: one evaluation for each combination of values.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/evaluation_file.h"
#include "jobs/feature_net.h"
#include "jobs/torchscript.h"
#include "launch/defend_run.h"
#include "launch/defend_sweep_call.h"
#include "launch/defend_sweep_share.h"
#include "launch/defend_sweep_table.h"
#include "launch/presets.h"
#include "launch/report.h"
#include "launch/sweep_keys.h"
#include "launch/sweep_warnings.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

std::string folder_of(std::size_t point) { return fmt::format("points/{:03}", point); }

/// Natural checks of one defense, and their pictures on rank 0.
struct Naturals {
  std::map<std::uint64_t, JudgeCheck> checks;
  std::map<std::uint64_t, std::vector<float>> purified;
};

/// How a point begins that is not there yet.
struct PointStart {
  bool begun = false;              ///< it is there: its folder says all
  std::vector<std::string> words;  ///< options that points before it have found
  fs::path energy;                 ///< file of theirs; empty: none
};

class Sweep {
 public:
  Sweep(Call& call, OptionTable& table, DefendOptions& options, const KeptSweep& kept)
      : call_(call), world_(call.world), options_(options), kept_(kept), run_(options.run),
        configuration_(kept.configuration.empty() ? sweep_configuration(table, options.sweep) : kept.configuration),
        base_(kept.configuration.empty() ? kept_words(configuration_)
                                         : words_to_go_on(kept.configuration, table, (run_ / "sweep.cfg").string())),
        words_(swept_keys(options.sweep, table)), points_(combinations(words_)) {}

  int carry_out() {
    check();
    claim();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      say(fmt::format("point {} of {}: {}", i + 1, points_.size(), text_of(points_[i])));
      if (options_.stop_at > 0 && images_ >= options_.stop_at) {
        say(fmt::format("stopped as asked; {} images are kept. Run again with --resume to go on.", images_));
        return static_cast<int>(ExitCode::stopped);
      }
      const int code = evaluate(i);
      if (code != 0) return code;
      keep_naturals(i);
    }
    agree(world_, "write the sweep", [&] {
      if (world_.rank() == 0) write();
    });
    if (world_.rank() == 0) write_report(run_);
    return 0;
  }

 private:
  void say(const std::string& line) const {
    if (world_.rank() != 0) return;
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

  /// Every point, before the first one takes its hours: options of all, then files of those that are not there yet.
  void check() {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < points_.size(); ++i)
      of_point(i, [&] {
        DefendOptions options;
        OptionTable table("defend");
        read_point(i, {}, options, table);
        check_defend(options, table);
        if (!seen.insert(table.run_cfg()).second && !kept_.used)
          throw Error(ExitCode::usage, "a point before has the same options", "name each value once");
      });
    for (std::size_t i = 0; i < points_.size(); ++i) of_point(i, [&] { look_at_files(i); });
  }

  /// Collective, as `part` may be; errors name the point.
  void of_point(std::size_t i, const std::function<void()>& part) const {
    try {
      part();
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("--sweep, point {}: {}", text_of(points_[i]), error.what()), error.hint());
    }
  }

  void look_at_files(std::size_t i) {
    const auto start = start_of(i);
    if (start.begun) return;
    DefendOptions options;
    OptionTable table("defend");
    read_point(i, start.words, options, table);
    const auto config = resolve_defend(world_, options, table, start.energy);
    on_root(world_, "look at the classifier", [&]() -> std::string {
      const auto& file = config.classifier.file;
      if (!classifiers_.insert(file).second) return "";
      if (!split_network_spec(file).network.empty() || !looks_like_torchscript(file)) load_feature_net(file);
      return "";
    });
  }

  static std::string text_of(const SweepSettings& point) {
    std::vector<std::string> parts;
    for (const auto& [key, value] : point) parts.push_back(fmt::format("{}={}", key, value));
    return fmt::format("{}", fmt::join(parts, " "));
  }

  /// The marks stand before the points: what is killed in between goes on.
  void claim() {
    agree(world_, "claim the sweep", [&] {
      if (world_.rank() != 0) return;
      if (!kept_.used) write_durably(run_ / "sweep.cfg", configuration_);
      if (!fs::exists(run_ / "sweep.txt")) write_durably(run_ / "sweep.txt", options_.sweep + "\n");
      make_folder(run_ / "points");
    });
  }

  int evaluate(std::size_t i) {
    const auto start = start_of(i);
    DefendOptions options;
    OptionTable table("defend");
    read_point(i, start.words, options, table);
    Inherited inherited;
    inherited.energy = start.energy;
    inherited.inputs = inputs_for(i);
    if (const auto known = naturals_.find(defense_key(i, start.energy)); known != naturals_.end()) {
      inherited.naturals = known->second.checks;
      inherited.purified = known->second.purified;
    }
    return run_evaluation(call_, table, options, inherited, false);
  }

  /// A run that the energy is of may be trained on while the sweep goes on, or stands still: points of one energy take
  /// it from the first of them.
  PointStart start_of(std::size_t i) const {
    const auto seen = Json::parse(on_root(world_, "look at the points", [&] {
      Json start{{"begun", fs::exists(run_ / folder_of(i) / "run.cfg")}, {"words", Json::array()}, {"energy", ""}};
      const auto sources = sources_of(points_, i);
      if (start["begun"].get<bool>() || !sources.energy) return start.dump();
      const auto from = run_ / folder_of(*sources.energy);
      DefendOptions options;
      OptionTable table("defend");
      read_point(i, {}, options, table);
      if (options.energy.run == "none" || !fs::exists(from / "energy.h5")) return start.dump();
      const auto twin = sources.defense ? run_ / folder_of(*sources.defense) / "run.cfg" : fs::path();
      const auto pinned =
          pinned_options(points_[i], table, read_text(from / "run.cfg"), fs::exists(twin) ? read_text(twin) : "");
      start["words"] = pinned.words;
      if (pinned.settled) start["energy"] = (from / "energy.h5").string();
      return start.dump(-1, ' ', false, Json::error_handler_t::replace);
    }));
    return {seen["begun"], seen["words"], seen["energy"].get<std::string>()};
  }

  /// What natural checks depend on: points share them where this is the same. `energy`: of a point that is not there
  /// yet.
  std::string defense_key(std::size_t i, const fs::path& energy) const {
    return defense_of(points_[i]) + on_root(world_, "look at the energy", [&]() -> std::string {
             const auto own = run_ / folder_of(i) / "energy.h5";
             if (fs::exists(own)) return checksum(own);
             return energy.empty() ? "" : checksum(energy);
           });
  }

  /// Checksums that a point's files have to have: a classifier too may be trained on. Rank 0 knows.
  std::string inputs_for(std::size_t i) const {
    const auto classifier = sources_of(points_, i).classifier;
    const auto known = inputs_.find(classifier.value_or(0));
    if (i == 0 || known == inputs_.end()) return "";
    if (classifier) return known->second;
    const auto images = known->second.find("[images]");
    return images == std::string::npos ? "" : known->second.substr(images);
  }

  void read_point(std::size_t i, const std::vector<std::string>& pinned, DefendOptions& options,
                  OptionTable& table) const {
    bind_defend(table, options);
    table.presets(presets_of("defend"));
    table.parse(words_of_point(i, pinned));
  }

  /// The words that the sweep began with, a point's, and `pinned`.
  std::vector<std::string> words_of_point(std::size_t i, const std::vector<std::string>& pinned) const {
    auto words = base_;
    for (const auto& [key, value] : points_[i]) {
      words.push_back("--" + key);
      words.push_back(value);
    }
    words.insert(words.end(), pinned.begin(), pinned.end());
    const auto folder = (run_ / folder_of(i)).string();
    words.insert(words.end(), {"--run", folder, "--resume"});
    if (options_.deadline > 0) words.insert(words.end(), {"--deadline", fmt::format("{}", options_.deadline)});
    if (options_.stop_after > 0) {
      // Of what the points before have left.
      const std::chrono::duration<double> gone = Clock::now() - start_;
      words.insert(words.end(),
                   {"--stop-after", fmt::format("{}", std::max(1e-3, options_.stop_after - gone.count()))});
    }
    if (options_.stop_at > 0) words.insert(words.end(), {"--stop-at", std::to_string(options_.stop_at - images_)});
    return words;
  }

  void keep_naturals(std::size_t i) {
    images_ += std::stoll(on_root(world_, "count images", [&] { return result_of(i)["images"].dump(); }));
    const auto key = defense_key(i, {});
    if (naturals_.contains(key)) return;
    auto& known = naturals_[key];
    const auto text = on_root(world_, "read natural checks", [&] { return packed_naturals(i, known.purified); });
    for (std::size_t at = 0; at < text.size();) {
      std::uint64_t size = 0;
      std::memcpy(&size, text.data() + at, sizeof size);
      at += sizeof size;
      const auto record = unpacked(std::as_bytes(std::span(text)).subspan(at, size));
      known.checks[record.index] = record.judge.front();
      at += size;
    }
  }

  /// Rank 0: sizes and bytes of a point's records with nothing but their natural checks; pictures stay here.
  std::string packed_naturals(std::size_t i, std::map<std::uint64_t, std::vector<float>>& purified) {
    auto file = read_evaluation(run_ / folder_of(i) / "records.h5");
    inputs_[i] = file.inputs;
    std::string bytes;
    for (auto& record : file.records) {
      if (!record.purified.empty()) purified[record.index] = std::exchange(record.purified, {});
      record.small.clear();
      std::erase_if(record.judge, [](const JudgeCheck& check) { return check.purpose != Purpose::natural; });
      const auto one = packed(record);
      const auto size = static_cast<std::uint64_t>(one.size());
      bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
      bytes.append(reinterpret_cast<const char*>(one.data()), one.size());
    }
    return bytes;
  }

  Json result_of(std::size_t i) const { return Json::parse(read_text(run_ / folder_of(i) / "result.json")); }

  void write() {
    Json points = Json::array();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      Json values = Json::object();
      for (const auto& [key, value] : points_[i]) values[key] = value;
      points.push_back({{"values", values}, {"folder", folder_of(i)}, {"result", result_of(i)}});
    }
    std::vector<std::string> keys;
    Json words = Json::array();
    for (const auto& word : words_) {
      keys.insert(keys.end(), word.keys.begin(), word.keys.end());
      words.push_back(word.keys);
    }
    const auto warnings = sweep_warnings(seen(points), words_);
    for (const auto& warning : warnings) fmt::print("warning: {}\n", warning);
    write_durably(run_ / "sweep.csv", sweep_table(points, keys));
    const Json json{{"keys", keys}, {"words", words}, {"points", points}, {"warnings", warnings}};
    write_durably(run_ / "sweep.json", json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    fmt::print("table: {}\n", (run_ / "sweep.csv").string());
  }

  static std::vector<SweepPoint> seen(const Json& points) {
    std::vector<SweepPoint> all;
    for (const auto& point : points) {
      SweepPoint one;
      for (const auto& value : point["values"].items()) one.values[value.key()] = value.value().get<std::string>();
      for (const auto& rule : point["result"]["protocols"].items())
        one.shares[rule.key()] = rule.value()["value"].get<double>();
      all.push_back(std::move(one));
    }
    return all;
  }

  Call& call_;
  Communicator& world_;
  DefendOptions& options_;
  const KeptSweep& kept_;
  const fs::path run_;
  const std::string configuration_;      ///< text of sweep.cfg
  const std::vector<std::string> base_;  ///< options of all points
  std::vector<SweptKeys> words_;
  std::vector<SweepSettings> points_;
  std::map<std::string, Naturals> naturals_;   ///< by defense_key
  std::map<std::size_t, std::string> inputs_;  ///< by point: checksums of its files, where they were read; rank 0
  std::set<std::string> classifiers_;          ///< that were looked at; rank 0
  std::int64_t images_ = 0;                    ///< of the points that are through
  Clock::time_point start_ = Clock::now();
};

/// What the folder holds has to be this sweep.
void check_folder(const KeptSweep& kept, const DefendOptions& options) {
  if (kept.used && !options.resume)
    throw Error(ExitCode::usage, fmt::format("{} is not empty", options.run),
                "--resume goes on with a sweep; else choose another folder");
  if (kept.used && kept.sweep != options.sweep)
    throw Error(ExitCode::usage,
                kept.begun() ? fmt::format("--sweep '{}' was given, {} holds that of '{}'", options.sweep, options.run,
                                           kept.sweep)
                             : fmt::format("{} holds something that is no sweep", options.run),
                "leave --sweep out to go on with what is there, or choose another folder");
}

}  // namespace

int run_sweep(Call& call, OptionTable& table, DefendOptions& options) {
  if (options.run.empty())
    throw Error(ExitCode::usage, "--run is missing", "name a folder for the sweep, for example --run runs/eps");
  const auto kept = kept_sweep(call.world, options.run);
  options.sweep = options.sweep.empty() ? kept.sweep : trimmed_sweep(options.sweep);
  (void)table.run_cfg();  // refuses what sweep.cfg could not hold
  check_folder(kept, options);
  return Sweep(call, table, options, kept).carry_out();
}

}  // namespace langrun::launch
