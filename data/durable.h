// Making what was written survive: fsync, then rename (design invariant 5: durable before visible).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace langrun {

/// Flushes a file, or a folder's entries, to the disk. Throws Error(storage).
void sync_path(const std::filesystem::path& path);
/// Renames over whatever was at `to`, then flushes the folder. Throws Error(storage).
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);
/// Writes a whole text file: NAME.partial, fsync, rename. Throws Error(storage), leaving what was there.
void write_text_durably(const std::filesystem::path& path, const std::string& text);
/// A whole file. Throws Error(input) where it cannot be read.
std::string read_text(const std::filesystem::path& path);
/// Makes `link` point at `target` (relative), atomically. Throws Error(storage).
void point_link(const std::filesystem::path& link, const std::string& target);
/// Makes a folder and its parents; throws Error(storage) where that fails.
void make_folder(const std::filesystem::path& path);
/// 128-bit XXH3 checksum of a file, as 32 hexadecimal digits. Throws Error(input) where it cannot be read.
std::string checksum(const std::filesystem::path& path);

/// The same of a text in memory.
std::string checksum_of_text(const std::string& text);

}  // namespace langrun
