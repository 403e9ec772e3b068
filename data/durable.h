// Making what was written survive: fsync, then rename (design invariant 5: durable before visible).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace langrun {

/// Throws the Error(storage) that errno stands for: "cannot write PATH: No space left on device" where `what` is
/// "cannot write".
[[noreturn]] void throw_storage(const std::string& what, const std::filesystem::path& path);

/// Flushes a file, or a folder's entries, to the disk. Throws Error(storage).
void sync_path(const std::filesystem::path& path);
/// Renames over whatever was at `to`, then flushes the folder. Throws Error(storage).
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);
/// Writes `bytes` to PATH.partial, flushes and renames to PATH, whatever stood there before. The folder is made if it
/// is missing. Throws Error(storage), naming the path; then PATH is untouched and PATH.partial is gone.
void write_durably(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_durably(const std::filesystem::path& path, std::string_view text);
/// Writes a file in a folder that is there, and flushes it. Throws Error(storage).
void write_flushed(const std::filesystem::path& path, std::string_view text);
/// A whole file. Throws Error(input) where it cannot be read.
std::string read_text(const std::filesystem::path& path);
/// The same of a file that a run consists of, which is a regular one of at most `most` bytes: a named pipe in its place
/// would hold the program, and an endless one fill its memory.
std::string read_text(const std::filesystem::path& path, std::uint64_t most);
inline constexpr std::uint64_t kMostConfiguration = std::uint64_t{1} << 24;  ///< bytes of a run.cfg
/// Throws Error(storage) where something is there and is no regular file.
void require_regular(const std::filesystem::path& path);
/// Makes `link` point at `target` (relative), atomically. Throws Error(storage).
void point_link(const std::filesystem::path& link, const std::string& target);
/// Makes a folder and its parents; throws Error(storage) where that fails.
void make_folder(const std::filesystem::path& path);
/// 128-bit XXH3 checksum of bytes as they go by.
class Checksum {
 public:
  Checksum();
  void add(std::span<const std::byte> bytes);
  /// 32 hexadecimal digits.
  std::string text() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

/// 128-bit XXH3 checksum of a file, as 32 hexadecimal digits. Throws Error(input) where it cannot be read.
std::string checksum(const std::filesystem::path& path);

/// The same of a text in memory.
std::string checksum_of_text(const std::string& text);

}  // namespace langrun
