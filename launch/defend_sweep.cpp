// `defend --sweep key=a,b,c`: one evaluation for each combination of values.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/evaluation_file.h"
#include "launch/defend_run.h"
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

/// What decides natural checks: every swept value that is not the attack's.
std::string defense_of(const SweepSettings& point) {
  std::string text;
  for (const auto& [key, value] : point)
    if (!key.starts_with("attack.")) text += fmt::format("{}={} ", key, value);
  return text;
}

class Sweep {
 public:
  Sweep(Call& call, OptionTable& table, DefendOptions& options)
      : call_(call), table_(table), options_(options), run_(options.run), words_(swept_keys(options.sweep, table)),
        points_(combinations(words_)) {}

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
    agree(call_.world, "write the sweep", [&] {
      if (call_.world.rank() == 0) write();
    });
    if (call_.world.rank() == 0) write_report(run_);
    return 0;
  }

 private:
  void say(const std::string& line) const {
    if (call_.world.rank() != 0) return;
    fmt::print("{}\n", line);
    std::fflush(stdout);
  }

  /// The options of every point, before the first one takes its hours.
  void check() const {
    if (options_.run.empty())
      throw Error(ExitCode::usage, "--run is missing", "name a folder for the sweep, for example --run runs/eps");
    for (std::size_t i = 0; i < points_.size(); ++i) {
      DefendOptions options;
      OptionTable table("defend");
      try {
        read_point(i, options, table);
        check_defend(options, table);
      } catch (const Error& error) {
        throw Error(error.code(), fmt::format("--sweep, point {}: {}", text_of(points_[i]), error.what()), error.hint());
      }
    }
  }

  static std::string text_of(const SweepSettings& point) {
    std::vector<std::string> parts;
    for (const auto& [key, value] : point) parts.push_back(fmt::format("{}={}", key, value));
    return fmt::format("{}", fmt::join(parts, " "));
  }

  void claim() {
    agree(call_.world, "claim the sweep", [&] {
      if (call_.world.rank() != 0) return;
      const auto mark = run_ / "sweep.txt";
      const bool used = fs::exists(run_) && !fs::is_empty(run_);
      if (used && !options_.resume)
        throw Error(ExitCode::usage, fmt::format("{} is not empty", run_.string()),
                    "--resume goes on with a sweep; else choose another folder");
      if (used && (!fs::exists(mark) || read_text(mark) != options_.sweep + "\n"))
        throw Error(ExitCode::usage,
                    fmt::format("{} holds no sweep, or that of other values: --sweep differs", run_.string()),
                    "give --sweep as it was, or choose another folder");
      make_folder(run_ / "points");
      if (!used) write_durably(mark, options_.sweep + "\n");
    });
  }

  int evaluate(std::size_t i) {
    DefendOptions options;
    OptionTable table("defend");
    read_point(i, options, table);
    const auto known = naturals_.find(defense_of(points_[i]));
    return run_evaluation(call_, table, options, known == naturals_.end() ? Naturals{} : known->second, false);
  }

  void read_point(std::size_t i, DefendOptions& options, OptionTable& table) const {
    bind_defend(table, options);
    table.presets(presets_of("defend"));
    table.parse(words_of(i));
  }

  /// This call's words with the sweep's taken out and a point's put in.
  std::vector<std::string> words_of(std::size_t i) const {
    std::vector<std::string> words;
    if (!table_.preset().empty()) words = {"--preset", table_.preset()};
    for (const auto& option : table_.options())
      if (table_.asked(option.key) && option.keep != Keep::transient) {
        words.push_back("--" + option.key);
        words.push_back(option.get());
      }
    for (const auto& [key, value] : points_[i]) {
      words.push_back("--" + key);
      words.push_back(value);
    }
    const auto folder = (run_ / folder_of(i)).string();
    words.insert(words.end(), {"--run", folder, "--resume"});
    if (options_.deadline > 0) words.insert(words.end(), {"--deadline", fmt::format("{}", options_.deadline)});
    if (options_.stop_after > 0) {
      // Of what the points before have left.
      const std::chrono::duration<double> gone = Clock::now() - start_;
      words.insert(words.end(), {"--stop-after", fmt::format("{}", std::max(1e-3, options_.stop_after - gone.count()))});
    }
    if (options_.stop_at > 0) words.insert(words.end(), {"--stop-at", std::to_string(options_.stop_at - images_)});
    return words;
  }

  void keep_naturals(std::size_t i) {
    images_ += std::stoll(on_root(call_.world, "count images", [&] {
      return result_of(i)["images"].dump();
    }));
    const auto defense = defense_of(points_[i]);
    if (naturals_.contains(defense)) return;
    const auto text = on_root(call_.world, "read natural checks", [&] {
      std::string bytes;
      for (auto& record : read_evaluation(run_ / folder_of(i) / "records.h5").records) {
        record.small.clear();
        std::erase_if(record.judge, [](const JudgeCheck& check) { return check.purpose != Purpose::natural; });
        const auto one = packed(record);
        const auto size = static_cast<std::uint64_t>(one.size());
        bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
        bytes.append(reinterpret_cast<const char*>(one.data()), one.size());
      }
      return bytes;
    });
    auto& known = naturals_[defense];
    for (std::size_t at = 0; at < text.size();) {
      std::uint64_t size = 0;
      std::memcpy(&size, text.data() + at, sizeof size);
      at += sizeof size;
      const auto record = unpacked(std::as_bytes(std::span(text)).subspan(at, size));
      known[record.index] = record.judge.front();
      at += size;
    }
  }

  Json result_of(std::size_t i) const { return Json::parse(read_text(run_ / folder_of(i) / "result.json")); }

  void write() {
    Json points = Json::array();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      Json values = Json::object();
      for (const auto& [key, value] : points_[i]) values[key] = value;
      points.push_back({{"values", values},
                        {"folder", folder_of(i)},
                        {"result", result_of(i)}});
    }
    std::vector<std::string> keys;
    Json words = Json::array();
    for (const auto& word : words_) {
      keys.insert(keys.end(), word.keys.begin(), word.keys.end());
      words.push_back(word.keys);
    }
    const auto warnings = sweep_warnings(seen(points), words_);
    for (const auto& warning : warnings) fmt::print("warning: {}\n", warning);
    write_durably(run_ / "sweep.csv", table_of(points, keys));
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

  static std::string table_of(const Json& points, const std::vector<std::string>& keys) {
    auto text = fmt::format("{},natural,robust", fmt::join(keys, ","));
    const auto& rules = points.front()["result"]["protocols"];
    for (const auto& rule : rules.items())
      text += fmt::format(",{0},{0}_low,{0}_high", rule.key());
    text += "\n";
    for (const auto& point : points) {
      std::vector<std::string> cells;
      for (const auto& key : keys) cells.push_back(point["values"][key].get<std::string>());
      const auto& result = point["result"];
      cells.push_back(result["natural_accuracy"].dump());
      cells.push_back(result["robust_accuracy"].is_null() ? "" : result["robust_accuracy"].dump());
      for (const auto& rule : rules.items())
        for (const char* part : {"value", "low", "high"}) {
          const auto& protocols = result["protocols"];
          cells.push_back(protocols.contains(rule.key()) ? protocols[rule.key()][part].dump() : "");
        }
      text += fmt::format("{}\n", fmt::join(cells, ","));
    }
    return text;
  }

  using Naturals = std::map<std::uint64_t, JudgeCheck>;
  Call& call_;
  OptionTable& table_;
  DefendOptions& options_;
  const fs::path run_;
  std::vector<SweptKeys> words_;
  std::vector<SweepSettings> points_;
  std::map<std::string, Naturals> naturals_;  ///< by defense_of
  std::int64_t images_ = 0;  ///< of the points that are through
  Clock::time_point start_ = Clock::now();
};

}  // namespace

int run_sweep(Call& call, OptionTable& table, DefendOptions& options) { return Sweep(call, table, options).carry_out(); }

}  // namespace langrun::launch
