#include "data/generation_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

/// Never onto a folder that is there, not even an empty one, where the file system can tell.
int rename_to_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  return std::rename(from.c_str(), to.c_str());
}

/// Makes `wanted` out of what is there; false where another start was faster.
bool take(const GenerationFolder& there, const fs::path& wanted) {
  std::error_code none;
  // A link of that name is not the state itself, but what is left of it.
  if (there.generation == 0 && (fs::is_symlink(there.path, none) || !fs::exists(there.path, none))) {
    // Never with its parents: that would bring back a folder that somebody took.
    if (::mkdir(wanted.c_str(), 0777) == 0) return true;
    if (errno == EEXIST) return false;
    throw_storage("cannot make folder", wanted);
  }
  if (rename_to_new(there.path, wanted) == 0) return true;
  if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) return false;
  throw_storage("cannot take over", there.path);
}

}  // namespace

std::int64_t generation_of(const std::string& entry, const std::string& name) {
  if (!entry.starts_with(name + ".")) return 0;
  const auto digits = entry.substr(name.size() + 1);
  constexpr std::size_t kMostDigits = 18;  // fits 64 bits
  if (digits.empty() || digits.size() > kMostDigits) return 0;
  return digits.find_first_not_of("0123456789") == std::string::npos ? std::stoll(digits) : 0;
}

GenerationFolder generation_folder(const fs::path& run, const std::string& name, std::int64_t generation) {
  return {run / fmt::format("{}.{}", name, generation), generation};
}

bool is_there(const GenerationFolder& folder) {
  std::error_code none;
  return fs::is_directory(folder.path, none);
}

Error overtaken_error(const fs::path& run) {
  return {ExitCode::storage, fmt::format("{} was overtaken by a newer start", run.string()),
          "only one start of a run goes on: the newest"};
}

GenerationFolder newest_generation_folder(const fs::path& run, const std::string& name) {
  GenerationFolder newest{run / name, 0};
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run, none)) {
    const auto generation = generation_of(entry.path().filename().string(), name);
    if (generation > newest.generation && entry.is_directory(none)) newest = {entry.path(), generation};
  }
  return newest;
}

GenerationFolder take_generation(const fs::path& run, const std::string& name, std::int64_t lowest,
                                 const MayTake& may_take) {
  constexpr int kTries = 100;  // each lost one is another start that began meanwhile
  for (int tries = 0; tries < kTries; ++tries) {
    const auto there = newest_generation_folder(run, name);
    if (may_take) may_take(there);
    const auto wanted = generation_folder(run, name, std::max(there.generation + 1, lowest));
    if (!take(there, wanted.path)) continue;
    // Between the look that found none and the making of one, others may have made theirs and gone on to a higher
    // number: then this one, which is empty, is in excess.
    if (newest_generation_folder(run, name).generation > wanted.generation) {
      ::rmdir(wanted.path.c_str());  // fails where a newer start has taken it, or it holds a state
      if (!is_there(wanted)) continue;
    }
    sync_path(run);
    return wanted;
  }
  throw Error(ExitCode::storage, fmt::format("other starts keep taking over run {}", run.string()),
              "let one of them go on, and stop the others");
}

void publish_from(const GenerationFolder& folder, const fs::path& to,
                  const std::function<void(const fs::path& partial)>& write) {
  const auto partial = folder.path / (to.filename().string() + ".partial");
  std::error_code none;
  fs::remove_all(partial, none);  // of a start that was killed amid this
  try {
    write(partial);
    rename_durably(partial, to);
  } catch (const Error&) {
    if (!is_there(folder)) throw overtaken_error(folder.path.parent_path());
    ::unlink(partial.c_str());
    throw;
  }
}

void publish_from(const GenerationFolder& folder, const fs::path& to, std::string_view text) {
  publish_from(folder, to, [&](const fs::path& partial) { write_flushed(partial, text); });
}

void link_generation(const fs::path& run, const std::string& name, const GenerationFolder& folder) {
  std::error_code none;
  const auto target = folder.path.filename().string();
  if (fs::read_symlink(run / name, none) == target) return;
  publish_from(folder, run / name, [&](const fs::path& partial) {
    if (::symlink(target.c_str(), partial.c_str()) != 0) throw_storage("cannot make link", run / name);
  });
}

}  // namespace langrun
