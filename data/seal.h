// A seal behind the last byte of a file: its length and checksum, in a line of text. HDF5 and what reads through it do
// not look past their own end, so a sealed file is an HDF5 file as any other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace langrun {

/// Bytes of every seal.
inline constexpr std::size_t kSealBytes = 72;

/// The seal of `bytes` bytes with this 128-bit XXH3 checksum (32 digits).
std::string seal_of(std::uint64_t bytes, const std::string& checksum);

/// Reads a file that is not sealed yet and adds its seal. Flushing it is the caller's. Throws Error(storage).
void append_seal(const std::filesystem::path& path);

/// True where the file ends in a seal and is what was sealed, false where it ends in none. Reads a sealed file whole.
/// Throws Error(input), naming the file, where it is not what was sealed, or cannot be read.
bool check_seal(const std::filesystem::path& path);

}  // namespace langrun
