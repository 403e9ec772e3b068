// What `run verify` finds: parts of a run that were looked at, and how a person is told of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace langrun::launch {

/// A file, or a folder of them, that was looked at.
struct CheckedPart {
  std::string name;                   ///< within the folder of the run
  std::string remark;                 ///< what it holds; may be empty
  std::vector<std::string> problems;  ///< one line each, naming the file; empty: good
};

/// Is given each part.
using Seen = std::function<void(const CheckedPart&)>;

/// Whatever `look` throws becomes a problem of the part, which names `path`.
void note_problems(CheckedPart& part, const std::filesystem::path& path, const std::function<void()>& look);

/// "1 image", "2 images".
std::string counted(std::uint64_t count, const std::string& one);

/// A line on stdout for each part that `check` sees, and for each problem. Throws Error(storage), naming the first,
/// with that hint, where there are problems.
void tell_parts(const std::function<void(const Seen&)>& check, const std::string& hint);

}  // namespace langrun::launch
