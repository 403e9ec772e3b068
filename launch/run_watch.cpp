#include "launch/run_watch.h"

#include <fmt/format.h>

#include "data/durable.h"
#include "data/generation_folder.h"
#include "distributed/agreement.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFlight = "flight";

// What the start before left may say why it ended; what is older than that has been read or never will be.
void remove_older(const fs::path& run, std::int64_t generation) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run, ignored)) {
    const auto found = generation_of(entry.path().filename().string(), kFlight);
    if (found > 0 && found < generation - 1) fs::remove_all(entry.path(), ignored);
  }
}

// Only what is surely a rank's record: the folder's name is no promise that nobody else keeps anything there.
void remove_records(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("rank-") && name.ends_with(".txt")) fs::remove(entry.path(), ignored);
  }
}

// "runs/a/" names what "runs/a" does.
fs::path beside(const fs::path& output) {
  const auto whole = output.has_filename() ? output : output.parent_path();
  return fs::path(whole.string() + "." + kFlight);
}

}  // namespace

RunWatch::RunWatch(Communicator& world, const fs::path& run, std::int64_t generation)
    : world_(world), folder_(generation_folder(run, kFlight, generation).path) {
  if (world_.size() == 1) return;
  agree(world_, "flight recorders", [&] {
    if (world_.rank() != 0) return;
    make_folder(folder_);
    remove_older(run, generation);
  });
  world_.watch(folder_);
}

void RunWatch::end() {
  world_.unwatch();
  if (world_.size() == 1) return;
  world_.barrier("end of the flight recorders");
  std::error_code ignored;
  if (world_.rank() == 0) fs::remove_all(folder_, ignored);
}

OutputWatch::OutputWatch(Communicator& world, const fs::path& output) : world_(world) {
  if (output.empty() || world_.size() == 1) return;
  folder_ = on_root(world_, "flight recorders", [&] {
    // Not its parents: whether the job makes those or refuses the name is its own affair.
    const auto folder = beside(output);
    std::error_code failed;
    fs::create_directory(folder, failed);
    if (failed) return std::string();
    remove_records(folder);
    return folder.string();
  });
  if (!folder_.empty()) world_.watch(folder_);
}

OutputWatch::~OutputWatch() {
  if (folder_.empty()) return;
  world_.unwatch();
  std::error_code ignored;
  fs::remove(folder_, ignored);  // empty once the last rank's file is gone; else it stays
}

}  // namespace langrun::launch
