#include "launch/run_relane.h"

#include <fmt/format.h>

#include <bit>
#include <set>

#include "core/error.h"
#include "data/bank_deal.h"
#include "data/checkpoint.h"
#include "data/durable.h"
#include "distributed/agreement.h"
#include "launch/metrics.h"
#include "launch/passed_over.h"
#include "launch/provenance.h"
#include "launch/run_folder.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

std::string with_lanes(const std::string& configuration, std::int64_t lanes) {
  const std::string key = "\nlanes = ";
  auto text = "\n" + configuration;
  const auto at = text.find(key);
  if (at == std::string::npos)
    throw Error(ExitCode::input, "run.cfg does not say how many lanes the run has",
                "is it the folder of a training run?");
  const auto begin = at + key.size();
  text.replace(begin, text.find('\n', begin) - begin, fmt::format("{}", lanes));
  return text.substr(1);
}

std::int64_t number_of(const std::string& configuration, const std::string& key, const fs::path& where) {
  const auto value = configured(configuration, key, where.string());
  if (!value) throw Error(ExitCode::input, fmt::format("{} does not say {}", where.string(), key));
  return std::stoll(*value);
}

void check_lanes(std::int64_t lanes, std::int64_t now, std::int64_t batch) {
  if (lanes < 1 || !std::has_single_bit(static_cast<std::uint64_t>(lanes)) || batch % lanes != 0)
    throw Error(ExitCode::usage,
                fmt::format("--lanes {}: lanes are a power of two that divides the batch, {}", lanes, batch),
                "1, 2, 4, 8, ...");
  if (lanes == now)
    throw Error(ExitCode::usage, fmt::format("the run has {} lanes already", now), "--resume goes on with it");
}

std::vector<CheckpointFile> copy_others(const fs::path& from, const fs::path& to, const Manifest& manifest) {
  std::vector<CheckpointFile> kept;
  for (const auto& file : manifest.files) {
    if (file.name.starts_with("bank-")) continue;
    std::error_code failed;
    fs::copy_file(from / file.name, to / file.name, failed);
    if (failed) {
      errno = failed.value();
      throw_storage("cannot write", to / file.name);
    }
    sync_path(to / file.name);
    kept.push_back(file);
  }
  return kept;
}

// What a conversion that was killed left, and nothing else that has this name.
void remove_interrupted(const fs::path& partial) {
  std::error_code none;
  if (!fs::exists(fs::symlink_status(partial, none))) return;
  static const std::set<std::string> known{"provenance.json", "run.cfg", "metrics.jsonl"};
  bool ours = fs::is_directory(fs::symlink_status(partial, none));
  for (const auto& entry : fs::directory_iterator(partial, none)) {
    const auto name = entry.path().filename().string();
    ours = ours && (known.contains(name) || name == kCheckpointHome || generation_of(name, kCheckpointHome) > 0 ||
                    name.ends_with(".partial"));
  }
  if (!ours)
    throw Error(ExitCode::usage,
                fmt::format("{} is in the way: what is made is called so until it is whole", partial.string()),
                "move it away, or choose another name for the new run");
  fs::remove_all(partial, none);
}

}  // namespace

Relaned relane(const fs::path& from, const fs::path& named, std::int64_t lanes,
               const std::vector<std::string>& command) {
  // "OUT/" is OUT: its name gets an ending below.
  const auto to = named.has_filename() ? named : named.parent_path();
  if (fs::exists(to))
    throw Error(ExitCode::usage, fmt::format("{} is there already", to.string()), "name a folder that is not");
  std::vector<std::string> damaged;
  const auto step = newest_good_checkpoint(checkpoint_home(from), damaged);
  if (!step) throw Error(ExitCode::input, fmt::format("{} has no checkpoint yet", from.string()), "wait for one");
  warn_of_passed_over(damaged);
  const auto source = checkpoint_home(from) / checkpoint_name(*step);
  auto manifest = read_manifest(source);
  const Relaned before{*step, manifest.lanes, 0};
  check_lanes(lanes, manifest.lanes, number_of(manifest.configuration, "batch", from / "run.cfg"));

  // Under a name of its own until it is whole: a conversion that was killed leaves no run that only looks like one.
  const fs::path partial = to.string() + ".partial";
  remove_interrupted(partial);
  const auto home = begin_generation(partial, kCheckpointHome, {command, {host_name()}, {"none"}, *step + 1});
  const auto folder = home.path / (checkpoint_name(*step) + ".partial");
  make_folder(folder);
  auto files = copy_others(source, folder, manifest);
  const auto banks = deal_banks(source, manifest.lanes, folder, lanes);
  files.insert(files.end(), banks.begin(), banks.end());
  manifest.files = std::move(files);
  manifest.generation = home.generation;
  manifest.lanes = lanes;
  manifest.configuration = with_lanes(manifest.configuration, lanes);
  write_manifest(folder, manifest);
  sync_path(folder);
  (void)publish_checkpoint(home.path, folder, *step, 1);
  write_durably(partial / "run.cfg", with_lanes(read_text(from / "run.cfg"), lanes));
  if (fs::exists(from / "metrics.jsonl")) {
    write_durably(partial / "metrics.jsonl", read_text(from / "metrics.jsonl"));
    MetricsWriter::truncate_after(partial / "metrics.jsonl", *step);
  }
  rename_durably(partial, to);
  return {before.step, before.lanes_then, banks.size()};
}

}  // namespace langrun::launch
