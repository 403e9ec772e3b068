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

}  // namespace langrun::launch
