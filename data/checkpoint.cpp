#include "data/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/durable.h"
#include "data/json_depth.h"

namespace langrun {
namespace fs = std::filesystem;
using nlohmann::json;

fs::path checkpoint_home(const fs::path& run) { return newest_generation_folder(run, kCheckpointHome).path; }

std::string checkpoint_name(std::int64_t step) { return fmt::format("{:08}", step); }

void write_manifest(const fs::path& folder, const Manifest& manifest) {
  json files = json::array();
  for (const auto& file : manifest.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"xxh3_128", file.checksum}});
  json document{{"format", Manifest::kFormat},
                {"step", manifest.step},
                {"generation", manifest.generation},
                {"lanes", manifest.lanes},
                {"attempt", manifest.attempt},
                {"watch", manifest.watch},
                {"configuration", manifest.configuration},
                {"files", files}};
  if (!manifest.images.empty()) document["images"] = manifest.images;
  document["xxh3_128"] = checksum_of_text(document.dump());
  // A home that a newer start has taken away is not to come back.
  sync_path(folder);
  write_durably(folder / "manifest.json", document.dump(1) + "\n");
}

namespace {

/// A whole number of a document. A real one may not fit where whole ones do.
std::int64_t whole(const json& document, const char* key) {
  const auto& value = document.at(key);
  if (!value.is_number_integer()) throw Error(ExitCode::input, fmt::format("{} is no whole number", key));
  return value.get<std::int64_t>();
}

}  // namespace

Manifest read_manifest(const fs::path& folder) {
  const auto path = folder / "manifest.json";
  try {
    constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 28;  // some hundred bytes for each file of each rank
    const auto text = read_text(path, kMostBytes);
    if (nested_too_deep(text))
      throw Error(ExitCode::input, fmt::format("{} is damaged: no manifest is nested so deep", path.string()));
    auto document = json::parse(text);
    if (whole(document, "format") != Manifest::kFormat)
      throw Error(ExitCode::input, fmt::format("{} has format {}, this langrun reads {}", path.string(),
                                               whole(document, "format"), Manifest::kFormat));
    // The manifest guards the other files; its own words are guarded by a checksum of themselves.
    const auto own = document.at("xxh3_128").get<std::string>();
    document.erase("xxh3_128");
    if (checksum_of_text(document.dump()) != own)
      throw Error(ExitCode::input, fmt::format("{} is damaged: its checksum differs", path.string()));
    Manifest manifest;
    manifest.step = whole(document, "step");
    manifest.generation = whole(document, "generation");
    manifest.lanes = whole(document, "lanes");
    manifest.attempt = whole(document, "attempt");
    if (document.contains("watch")) manifest.watch = document.at("watch").get<std::vector<double>>();
    manifest.configuration = document.at("configuration").get<std::string>();
    if (document.contains("images")) manifest.images = document.at("images").get<std::string>();
    for (const auto& file : document.at("files"))
      manifest.files.push_back({file.at("name").get<std::string>(), static_cast<std::uint64_t>(whole(file, "bytes")),
                                file.at("xxh3_128").get<std::string>()});
    return manifest;
  } catch (const json::exception& failure) {
    throw Error(ExitCode::input, fmt::format("{} is damaged: {}", path.string(), failure.what()));
  }
}

namespace {

std::optional<std::string> problem_of(const fs::path& folder, const CheckpointFile& file) {
  const auto path = folder / file.name;
  if (fs::path(file.name).has_parent_path()) return fmt::format("{}: a name outside the checkpoint", path.string());
  std::error_code failure;
  const auto size = fs::file_size(path, failure);
  if (failure) return fmt::format("{}: missing", path.string());
  if (size != file.bytes) return fmt::format("{}: {} bytes, manifest says {}", path.string(), size, file.bytes);
  if (checksum(path) != file.checksum) return fmt::format("{}: checksum differs from the manifest", path.string());
  return std::nullopt;
}

}  // namespace

std::vector<std::string> problems_of(const fs::path& folder) {
  std::vector<std::string> problems;
  try {
    const auto manifest = read_manifest(folder);
    if (folder.filename() != checkpoint_name(manifest.step) && folder.filename() != "latest")
      problems.push_back(fmt::format("{}: is that of step {}", (folder / "manifest.json").string(), manifest.step));
    for (const auto& file : manifest.files)
      if (auto problem = problem_of(folder, file)) problems.push_back(*problem);
  } catch (const Error& failure) {
    problems.push_back(failure.what());
  }
  return problems;
}

namespace {

bool is_checkpoint_name(const std::string& name) {
  return name.size() >= 8 && name.size() <= 18 && name.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

std::vector<std::string> problems_of_home(const fs::path& home) {
  std::vector<std::string> problems;
  std::error_code none;
  const auto latest = home / "latest";
  if (fs::is_symlink(latest, none) && !fs::is_directory(latest, none))
    problems.push_back(
        fmt::format("{}: names {}, which is gone", latest.string(), fs::read_symlink(latest, none).string()));
  if (!fs::is_symlink(latest, none) && fs::is_directory(latest, none))
    problems.push_back(fmt::format("{}: is a folder, where langrun has a link", latest.string()));
  for (const auto& entry : fs::directory_iterator(home, none))
    if (is_checkpoint_name(entry.path().filename().string()) && !entry.is_directory(none))
      problems.push_back(fmt::format("{}: is no folder, as a checkpoint is", entry.path().string()));
  return problems;
}

std::vector<std::int64_t> checkpoint_steps(const fs::path& home) {
  std::vector<std::int64_t> steps;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(home, none)) {
    const auto name = entry.path().filename().string();
    if (is_checkpoint_name(name) && entry.is_directory(none)) steps.push_back(std::stoll(name));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::optional<std::int64_t> newest_good_checkpoint(const fs::path& home, std::vector<std::string>& damaged) {
  const auto steps = checkpoint_steps(home);
  for (auto& problem : problems_of_home(home)) damaged.push_back(std::move(problem));
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const auto problems = problems_of(home / checkpoint_name(*step));
    if (problems.empty()) return *step;
    damaged.insert(damaged.end(), problems.begin(), problems.end());
  }
  if (steps.empty()) return std::nullopt;
  throw Error(ExitCode::storage, fmt::format("no good checkpoint left in {}: {}", home.string(), damaged.front()),
              "`langrun run verify DIR` lists all that is damaged");
}

namespace {

/// Takes a checkpoint's name away; what is left of it is for the caller to remove.
fs::path retire(const fs::path& home, std::int64_t step) {
  const auto name = checkpoint_name(step);
  const auto renamed = home / (name + ".old.partial");
  std::error_code ignored;
  fs::remove_all(renamed, ignored);
  fs::rename(home / name, renamed, ignored);
  return renamed;
}

}  // namespace

void clear_checkpoints_after(const fs::path& home, std::int64_t step) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(home, ignored))
    if (entry.path().extension() == ".partial") fs::remove_all(entry.path(), ignored);
  for (const auto later : checkpoint_steps(home))
    if (later > step && problems_of(home / checkpoint_name(later)).empty())
      fs::remove_all(retire(home, later), ignored);
  // It may have named one of those.
  if (step > 0 && fs::is_symlink(home / "latest", ignored) && !fs::is_directory(home / "latest", ignored))
    point_link(home / "latest", checkpoint_name(step));
}

std::vector<fs::path> return_to_checkpoint(const fs::path& home, std::int64_t step) {
  // Whoever is cut off amid this goes on from a checkpoint of the course that diverged, and comes here again.
  point_link(home / "latest", checkpoint_name(step));
  std::vector<fs::path> gone;
  for (const auto later : checkpoint_steps(home))
    if (later > step) gone.push_back(retire(home, later));
  return gone;
}

std::vector<fs::path> publish_checkpoint(const fs::path& home, const fs::path& partial, std::int64_t step,
                                         std::int64_t keep, std::int64_t spared) {
  const auto name = checkpoint_name(step);
  std::error_code ignored;
  // The same step can be there from a generation that was cut off between the rename and `latest`.
  fs::remove_all(home / name, ignored);
  rename_durably(partial, home / name);
  point_link(home / "latest", name);
  // Later steps are damaged ones that a resume passed over: they do not count.
  auto steps = checkpoint_steps(home);
  steps.erase(std::upper_bound(steps.begin(), steps.end(), step), steps.end());
  const auto older = static_cast<std::ptrdiff_t>(steps.size()) - keep;
  std::vector<fs::path> old;
  for (std::ptrdiff_t i = 0; i < older; ++i)
    if (const auto each = steps[static_cast<std::size_t>(i)]; each != spared) old.push_back(retire(home, each));
  return old;
}

}  // namespace langrun
