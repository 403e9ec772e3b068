#include "launch/checked_part.h"

#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "core/error.h"

namespace langrun::launch {

void note_problems(CheckedPart& part, const std::filesystem::path& path, const std::function<void()>& look) {
  try {
    look();
  } catch (...) {
    const std::string what = as_error(std::current_exception()).what();
    part.problems.push_back(what.find(path.string()) == what.npos ? fmt::format("{}: {}", path.string(), what) : what);
  }
}

std::string counted(std::uint64_t count, const std::string& one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

void tell_parts(const std::function<void(const Seen&)>& check, const std::string& hint) {
  std::vector<std::string> problems;
  check([&](const CheckedPart& part) {
    fmt::print("{}  {}{}{}\n", part.name, part.problems.empty() ? "good" : "damaged", part.remark.empty() ? "" : ", ",
               part.remark);
    for (const auto& problem : part.problems) fmt::print("  {}\n", problem);
    problems.insert(problems.end(), part.problems.begin(), part.problems.end());
  });
  if (problems.empty()) return;
  std::fflush(stdout);
  throw Error(ExitCode::storage, fmt::format("{} found: {}", counted(problems.size(), "problem"), problems.front()),
              hint);
}

}  // namespace langrun::launch
