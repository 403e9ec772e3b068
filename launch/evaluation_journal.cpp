#include "launch/evaluation_journal.h"

#include <fmt/format.h>

#include <system_error>

#include "data/generation_folder.h"

namespace langrun::launch {

namespace fs = std::filesystem;

bool journal_was_begun(const fs::path& run) {
  std::error_code none;
  for (const auto* name : {"cost.json", "records.h5", "result.json"})
    if (fs::exists(run / name, none)) return true;
  // Flight recorders begin behind the journal, and stay where a start was killed.
  return newest_generation_folder(run, "flight").generation > 0;
}

std::string warning_of_lost(const fs::path& run, const fs::path& journal, bool there) {
  const auto found = fmt::format("{} {}", journal.string(), there ? "holds no record" : "is missing");
  if (journal_was_begun(run))
    return fmt::format("{} although {} was begun before: images that were finished are lost, and are evaluated again",
                       found, run.string());
  return fmt::format(
      "{}: either the start before ended before it had begun any image, or finished images may be lost; all are "
      "evaluated again",
      found);
}

std::string warning_of_damage(const fs::path& journal, const JournalDamage& damage) {
  return fmt::format(
      "{} is damaged at byte {}: {} bytes from there on are left out, and the images they held are evaluated again; "
      "the damaged file is kept as {}",
      journal.string(), damage.offset, damage.bytes, damage.kept.string());
}

}  // namespace langrun::launch
