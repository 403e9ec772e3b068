// What the targets share: an input as a stream of pieces, files of it in a folder of this process, and what may be
// thrown.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"

namespace langrun::fuzz {

using Octets = std::span<const std::uint8_t>;

/// Ends the program, so that the input counts as a finding, unless `holds`.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// Runs `read`; true where it took the input, false where it refused it by an Error of one of these codes. Any other
/// exception is a finding.
template <class Read>
bool taken(std::initializer_list<ExitCode> refusals, const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    for (const auto code : refusals)
      if (error.code() == code) return false;
    std::fprintf(stderr, "code %d: %s\n", static_cast<int>(error.code()), error.what());
    std::abort();
  }
}

inline std::string_view text_of(Octets bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The first byte of an input, as a choice between forms; 0 where there is none. The rest stays in `input`.
inline std::uint8_t take_choice(Octets& input) {
  if (input.empty()) return 0;
  const auto choice = input[0];
  input = input.subspan(1);
  return choice;
}

/// A folder of this process in memory where there is such, gone at its end.
class Folder {
 public:
  Folder() {
    const std::string parent =
        std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
    auto name = parent + "/langrun-fuzz.XXXXXX";
    require(::mkdtemp(name.data()) != nullptr, "a folder can be made");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  /// Writes `bytes` to the file `name`, over what it held.
  std::filesystem::path put(std::string_view name, Octets bytes) const {
    const auto path = path_ / name;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    require(file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size(),
            "a file can be written");
    std::fclose(file);
    return path;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace langrun::fuzz
