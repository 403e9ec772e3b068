#include "launch/run_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "data/generation_folder.h"
#include "data/hdf5.h"
#include "data/journal.h"
#include "jobs/sample_folder.h"
#include "launch/evaluation_journal.h"
#include "launch/options.h"
#include "launch/provenance.h"
#include "launch/steps_list.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What a file says is worth telling where it can be read; where it cannot, the rest still is.
template <typename Look>
void look(Look look) {
  try {
    look();
  } catch (const Error&) {
  }
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string setting(const std::string& configuration, const std::string& key) {
  return configured(configuration, key, "run.cfg").value_or("");
}

void see_training(const fs::path& run, const std::string& configuration, RunStatus& status) {
  status.kind = "training";
  status.steps = number(setting(configuration, "steps"));
  status.checkpoints = checkpoint_steps(checkpoint_home(run));
  status.step = 0;
  require_regular(run / "metrics.jsonl");
  std::ifstream in(run / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) {
    const auto record = nlohmann::json::parse(line, nullptr, false);
    if (!record.is_object() || !record.contains("step") || !record["step"].is_number_integer()) continue;
    status.step = record["step"].get<std::int64_t>();
    const bool counted = record.contains("attempt") && record["attempt"].is_number();
    status.attempt = counted ? static_cast<std::int64_t>(record["attempt"].get<double>()) : 0;
  }
  status.done = status.steps && !status.checkpoints.empty() && status.checkpoints.back() >= *status.steps;
}

std::optional<std::int64_t> chosen_images(const std::string& configuration) {
  if (const auto list = setting(configuration, "images-file"); !list.empty()) {
    std::ifstream in(list);
    std::int64_t count = 0;
    for (std::string word; in >> word;) ++count;
    return in.eof() && count > 0 ? std::optional(count) : std::nullopt;
  }
  const auto range = setting(configuration, "images");
  const auto colon = range.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const auto first = number(std::string_view(range).substr(0, colon));
  const auto end = number(std::string_view(range).substr(colon + 1));
  return first && end ? std::optional(*end - *first) : std::nullopt;
}

void see_evaluation(const fs::path& run, const std::string& configuration, RunStatus& status) {
  status.kind = "evaluation";
  status.images_in_all = chosen_images(configuration);
  status.images = 0;
  look([&] {
    // The first record says which configuration the others are of.
    const auto records = read_journal(newest_generation_folder(run, kEvaluationState).path / kImageJournal).size();
    status.images = records > 0 ? static_cast<std::int64_t>(records) - 1 : 0;
  });
  status.done = fs::exists(run / "result.json") && fs::exists(run / "records.h5");
}

void see_sampling(const fs::path& run, const std::string& configuration, RunStatus& status) {
  status.kind = "sampling";
  const auto list = setting(configuration, "steps-list");
  look([&] {
    status.steps = list.empty() ? number(setting(configuration, "langevin.steps"))
                                : std::optional(rising_steps(list, "steps-list").back());
  });
  status.step = 0;
  look([&] {
    if (!fs::exists(run / "chains.h5")) return;
    const auto finished = h5::File::open(run / "chains.h5").dataset("/steps").read<std::int64_t>();
    if (!finished.empty()) status.step = finished.back();
  });
  std::int64_t blocks = 0, sum = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(newest_generation_folder(run, kSampleState).path, none)) {
    if (entry.path().extension() != ".h5") continue;
    ++blocks;
    look([&] { sum += h5::File::open(entry.path()).read_int_attribute("/", "step"); });
  }
  // A block that was begun is work done too: of some sources its chains take long to come.
  status.chain_steps = sum + blocks;
  status.done = status.steps && status.step == status.steps;
}

RunStatus status_of_run(const fs::path& run) {
  const auto configuration = read_text(run / "run.cfg", kMostConfiguration);
  RunStatus status;
  status.job = setting(configuration, "job");
  look([&] { status.generation = newest_generation(run); });
  if (status.job == "defend")
    see_evaluation(run, configuration, status);
  else if (status.job == "sample")
    see_sampling(run, configuration, status);
  else if (fs::exists(checkpoint_home(run)) || fs::exists(run / "metrics.jsonl"))
    see_training(run, configuration, status);
  else
    status.kind = "other", status.done = fs::exists(run / "result.json");
  return status;
}

RunStatus status_of_sweep(const fs::path& sweep) {
  RunStatus status;
  status.kind = "sweep";
  status.job = "defend";
  status.images = 0;
  status.done = fs::exists(sweep / "sweep.json");
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(sweep / "points", none)) {
    if (!fs::exists(entry.path() / "run.cfg")) continue;
    const auto point = status_of_run(entry.path());
    status.generation += point.generation;
    *status.images += point.images.value_or(0);
  }
  return status;
}

}  // namespace

RunStatus status_of(const fs::path& dir) {
  std::error_code none;
  if (fs::exists(dir / "run.cfg", none)) return status_of_run(dir);
  if (fs::exists(dir / "sweep.txt", none)) return status_of_sweep(dir);
  throw Error(ExitCode::input, fmt::format("{} is not the folder of a run: it has no run.cfg", dir.string()),
              "give the folder named by --run");
}

std::string RunStatus::progress() const {
  const std::string end = done ? ", done" : "";
  if (images) return fmt::format("{} images{}", *images, end);
  if (chain_steps) return fmt::format("chain steps {}{}", *chain_steps, end);
  const auto newest = checkpoints.empty() ? 0 : checkpoints.back();
  return fmt::format("step {}{}{}", newest, attempt > 0 ? fmt::format(" of attempt {}", attempt) : "", end);
}

std::string status_json(const fs::path& dir, const RunStatus& status) {
  const auto of = [](const std::optional<std::int64_t>& value) { return value ? Json(*value) : Json(nullptr); };
  const bool training = status.kind == "training";
  const Json json{{"run", dir.string()},
                  {"kind", status.kind},
                  {"job", status.job},
                  {"state", status.done ? "done" : "unfinished"},
                  {"generation", status.generation},
                  {"step", of(status.step)},
                  {"steps", of(status.steps)},
                  {"attempt", training ? Json(status.attempt) : Json(nullptr)},
                  {"checkpoint", status.checkpoints.empty() ? Json(nullptr) : Json(status.checkpoints.back())},
                  {"checkpoints", training ? Json(status.checkpoints) : Json(nullptr)},
                  {"images", of(status.images)},
                  {"images_in_all", of(status.images_in_all)},
                  {"chain_steps", of(status.chain_steps)},
                  {"progress", status.progress()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace langrun::launch
