#include "data/seal.h"

#include <fmt/format.h>

#include <fstream>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

constexpr std::string_view kWord = "\nsealed by langrun: ";

/// Checksum of the first `bytes` bytes of what `in` reads; empty where there are fewer.
std::string checksum_of_first(std::ifstream& in, std::uint64_t bytes) {
  Checksum sum;
  std::vector<char> piece(std::size_t{1} << 20);
  in.seekg(0);
  while (bytes > 0) {
    const auto wanted = std::min<std::uint64_t>(bytes, piece.size());
    if (!in.read(piece.data(), static_cast<std::streamsize>(wanted))) return {};
    sum.add(std::as_bytes(std::span(piece)).first(wanted));
    bytes -= wanted;
  }
  return sum.text();
}

}  // namespace

std::string seal_of(std::uint64_t bytes, const std::string& checksum) {
  return fmt::format("{}{:018} {}\n", kWord, bytes, checksum);
}

void append_seal(const std::filesystem::path& path) {
  std::error_code failure;
  const auto bytes = std::filesystem::file_size(path, failure);
  const auto seal = failure ? std::string() : seal_of(bytes, checksum(path));
  std::ofstream out(path, std::ios::binary | std::ios::app);
  if (failure || !out.write(seal.data(), static_cast<std::streamsize>(seal.size())).flush())
    throw_storage("cannot write", path);
}

bool check_seal(const std::filesystem::path& path) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure || size < kSealBytes) return false;
  std::ifstream in(path, std::ios::binary);
  std::string found(kSealBytes, '\0');
  if (!in.seekg(static_cast<std::streamoff>(size - kSealBytes)).read(found.data(), kSealBytes))
    throw Error(ExitCode::input, fmt::format("cannot read {}", path.string()), "check the path and its permissions");
  if (!found.starts_with(kWord)) return false;
  const auto content = size - kSealBytes;
  if (found != seal_of(content, checksum_of_first(in, content)))
    throw Error(ExitCode::input,
                fmt::format("{} is damaged: it is not what was sealed when it was written", path.string()),
                "make it again, or take it from a copy");
  return true;
}

}  // namespace langrun
