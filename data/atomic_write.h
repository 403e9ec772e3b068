// Files that are either there whole or not at all (design invariant: durable before visible).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace langrun {

/// Writes `bytes` to PATH.partial, hands them to the disk (fsync) and renames to PATH, whatever stood there before.
/// The folder is made if it is missing. Throws Error(storage), naming the path, where that fails; then PATH is
/// untouched and PATH.partial is gone.
void write_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace langrun
