#include "launch/shipped.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "core/error.h"

namespace langrun::launch {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> folders() {
  std::vector<fs::path> all;
  if (const char* named = std::getenv("LANGRUN_SHARE"); named != nullptr && *named != '\0') all.emplace_back(named);
  std::error_code failed;
  const auto program = fs::read_symlink("/proc/self/exe", failed);
  if (!failed) all.push_back(program.parent_path().parent_path() / "share" / "langrun");
  all.emplace_back(LANGRUN_SOURCE_SHARE);
  return all;
}

}  // namespace

bool names_shipped_file(const std::string& name) { return name.starts_with('@'); }

std::string shipped(const std::string& name) {
  if (!names_shipped_file(name)) return name;
  std::vector<std::string> looked;
  for (const auto& folder : folders()) {
    const auto path = folder / name.substr(1);
    std::error_code ignored;
    if (fs::exists(path, ignored)) return path.string();
    looked.push_back(folder.string());
  }
  throw Error(ExitCode::input, fmt::format("{} is not among the files that come with the program", name),
              fmt::format("looked in {}; LANGRUN_SHARE names another folder", fmt::join(looked, ", ")));
}

}  // namespace langrun::launch
