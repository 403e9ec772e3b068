// `defend --sweep key=a,b,c`: one evaluation for each combination of values.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "jobs/evaluation_file.h"
#include "launch/defend_run.h"
#include "launch/report.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
using Setting = std::pair<std::string, std::string>;  ///< key, value

struct SweptKey {
  std::string key;
  std::vector<std::string> values;
};

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

std::vector<SweptKey> swept_keys(const std::string& text, const OptionTable& table) {
  std::vector<SweptKey> keys;
  for (const auto& one : split(text, ' ')) {
    const auto equal = one.find('=');
    SweptKey key{one.substr(0, equal), {}};
    if (equal != std::string::npos) key.values = split(one.substr(equal + 1), ',');
    const bool fixed = key.key == "data" || key.key == "images" || key.key == "images-file" || key.key == "protocols" ||
                       key.key == "job";
    const auto known = std::find_if(table.options().begin(), table.options().end(),
                                    [&](const Option& option) { return option.key == key.key; });
    const bool swept = known != table.options().end() && known->keep == Keep::recorded && !fixed;
    if (key.values.empty() || !swept)
      throw Error(ExitCode::usage, fmt::format("--sweep {}: expected KEY=VALUE,VALUE of an option of the evaluation", one),
                  "for example --sweep attack.eps=2,4,8 ; several keys stand between blanks");
    keys.push_back(std::move(key));
  }
  if (keys.empty()) throw Error(ExitCode::usage, "--sweep names no key", "for example --sweep attack.eps=2,4,8");
  return keys;
}

std::vector<std::vector<Setting>> combinations(const std::vector<SweptKey>& keys) {
  std::vector<std::vector<Setting>> all{{}};
  for (const auto& key : keys) {
    std::vector<std::vector<Setting>> longer;
    for (const auto& one : all)
      for (const auto& value : key.values) {
        longer.push_back(one);
        longer.back().emplace_back(key.key, value);
      }
    all = std::move(longer);
  }
  return all;
}

std::string folder_of(std::size_t point) { return fmt::format("points/{:03}", point); }

/// What decides natural checks: every swept value that is not the attack's.
std::string defense_of(const std::vector<Setting>& point) {
  std::string text;
  for (const auto& [key, value] : point)
    if (!key.starts_with("attack.")) text += fmt::format("{}={} ", key, value);
  return text;
}

class Sweep {
 public:
  Sweep(Call& call, OptionTable& table, DefendOptions& options)
      : call_(call), table_(table), options_(options), run_(options.run), keys_(swept_keys(options.sweep, table)),
        points_(combinations(keys_)) {}

  int carry_out() {
    claim();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      if (call_.world.rank() == 0) {
        fmt::print("point {} of {}: {}\n", i + 1, points_.size(), text_of(points_[i]));
        std::fflush(stdout);
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
  static std::string text_of(const std::vector<Setting>& point) {
    std::vector<std::string> parts;
    for (const auto& [key, value] : point) parts.push_back(fmt::format("{}={}", key, value));
    return fmt::format("{}", fmt::join(parts, " "));
  }

  void claim() {
    if (options_.run.empty())
      throw Error(ExitCode::usage, "--run is missing", "name a folder for the sweep, for example --run runs/eps");
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
    bind_defend(table, options);
    table.parse(words_of(i));
    const auto known = naturals_.find(defense_of(points_[i]));
    return run_evaluation(call_, table, options, known == naturals_.end() ? Naturals{} : known->second, false);
  }

  /// This call's words with the sweep's taken out and a point's put in.
  std::vector<std::string> words_of(std::size_t i) const {
    std::vector<std::string> words;
    for (const auto& option : table_.options())
      if (table_.given(option.key) && option.keep != Keep::transient) {
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
    return words;
  }

  void keep_naturals(std::size_t i) {
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

  void write() {
    Json points = Json::array();
    for (std::size_t i = 0; i < points_.size(); ++i) {
      Json values = Json::object();
      for (const auto& [key, value] : points_[i]) values[key] = value;
      points.push_back({{"values", values},
                        {"folder", folder_of(i)},
                        {"result", Json::parse(read_text(run_ / folder_of(i) / "result.json"))}});
    }
    std::vector<std::string> keys;
    for (const auto& key : keys_) keys.push_back(key.key);
    const auto warnings = warnings_of(points);
    for (const auto& warning : warnings) fmt::print("warning: {}\n", warning);
    write_durably(run_ / "sweep.csv", table_of(points, keys));
    const Json json{{"keys", keys}, {"points", points}, {"warnings", warnings}};
    write_durably(run_ / "sweep.json", json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    fmt::print("table: {}\n", (run_ / "sweep.csv").string());
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

  /// Where an attack that should be stronger is weaker.
  static std::vector<std::string> warnings_of(const Json& points) {
    constexpr double kSlack = 0.02;
    std::vector<std::string> warnings;
    const auto robust = [](const Json& point) {
      const auto& value = point["result"]["robust_accuracy"];
      return value.is_null() ? -1.0 : value.get<double>();
    };
    for (const auto& a : points)
      for (const auto& b : points) {
        auto one = a["values"], other = b["values"];
        const bool eps = differ_in(one, other, "attack.eps"), kind = differ_in(one, other, "attack.kind");
        if (robust(a) < 0 || robust(b) < 0 || robust(b) <= robust(a) + kSlack) continue;
        if (eps && std::stod(one["attack.eps"].get<std::string>()) < std::stod(other["attack.eps"].get<std::string>()))
          warnings.push_back(fmt::format("accuracy does not fall with eps: {:.3f} at {}, {:.3f} at {}: the attack is weaker "
                                         "than it could be",
                                         robust(a), one["attack.eps"].get<std::string>(), robust(b),
                                         other["attack.eps"].get<std::string>()));
        if (kind && one["attack.kind"] == "bpda-eot" && other["attack.kind"] == "full-smooth")
          warnings.push_back(fmt::format("full-smooth is weaker than bpda-eot: {:.3f} against {:.3f}: its sharpness does not "
                                         "suit this energy",
                                         robust(b), robust(a)));
      }
    return warnings;
  }

  static bool differ_in(Json one, Json other, const char* key) {
    if (!one.contains(key) || one[key] == other[key]) return false;
    one.erase(key);
    other.erase(key);
    return one == other;
  }

  using Naturals = std::map<std::uint64_t, JudgeCheck>;
  Call& call_;
  OptionTable& table_;
  DefendOptions& options_;
  const fs::path run_;
  std::vector<SweptKey> keys_;
  std::vector<std::vector<Setting>> points_;
  std::map<std::string, Naturals> naturals_;  ///< by defense_of
  Clock::time_point start_ = Clock::now();
};

}  // namespace

int run_sweep(Call& call, OptionTable& table, DefendOptions& options) { return Sweep(call, table, options).carry_out(); }

}  // namespace langrun::launch
