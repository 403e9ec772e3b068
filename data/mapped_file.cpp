#include "data/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "core/error.h"

namespace langrun {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int reason) {
  throw Error(ExitCode::input, fmt::format("cannot read {}: {}", path.string(), std::strerror(reason)),
              "check the path");
}

/// Descriptor and size of a regular file.
std::pair<int, std::uint64_t> open_regular(const std::filesystem::path& path) {
  // Without NONBLOCK a named pipe would hold the program until somebody writes to it.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(path, errno);
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0;
  if (known && S_ISREG(status.st_mode)) return {fd, static_cast<std::uint64_t>(status.st_size)};
  ::close(fd);
  throw Error(ExitCode::input, fmt::format("{} is not a regular file", path.string()));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const auto [fd, size] = open_regular(path);
  if (size > 0) {
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    const int reason = errno;
    if (data == MAP_FAILED) {
      ::close(fd);
      fail(path, reason);
    }
    data_ = static_cast<const std::uint8_t*>(data);
    size_ = size;
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

void MappedFile::advise(Access access) {
  if (data_ == nullptr) return;
  ::madvise(const_cast<std::uint8_t*>(data_), size_, access == Access::sequential ? MADV_SEQUENTIAL : MADV_RANDOM);
}

PositionedFile::PositionedFile(const std::filesystem::path& path) : path_(path) {
  std::tie(fd_, size_) = open_regular(path);
}

PositionedFile::~PositionedFile() { ::close(fd_); }

void PositionedFile::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  for (std::size_t done = 0; done < out.size();) {
    const auto n = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, errno);
    if (n == 0) throw Error(ExitCode::input, fmt::format("{} ends early; has it changed meanwhile?", path_.string()));
    done += static_cast<std::size_t>(n);
  }
}

}  // namespace langrun
