#include "data/atomic_write.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace langrun {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int reason) {
  const bool full = reason == ENOSPC || reason == EDQUOT;
  throw Error(ExitCode::storage, fmt::format("cannot write {}: {}", path.string(), std::strerror(reason)),
              full ? "make room on the disk and run again" : "check that the folder exists and is writable");
}

/// All bytes and an fsync; errno of the first failure, or 0.
int write_durably(int file, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return ::fsync(file) == 0 ? 0 : errno;
}

}  // namespace

void write_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  std::error_code failed;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) fail(path, failed.value());
  auto partial = path;
  partial += ".partial";
  const int file = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(path, errno);
  int reason = write_durably(file, bytes);
  // Network file systems report a full disk at close at the latest.
  if (::close(file) != 0 && reason == 0) reason = errno;
  if (reason == 0 && ::rename(partial.c_str(), path.c_str()) != 0) reason = errno;
  if (reason == 0) return;
  ::unlink(partial.c_str());
  fail(path, reason);
}

void write_atomically(const std::filesystem::path& path, std::string_view text) {
  write_atomically(path, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace langrun
