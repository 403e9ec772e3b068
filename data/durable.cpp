#include "data/durable.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <sstream>
#include <vector>

#include "core/error.h"

namespace langrun {
namespace {

std::string digits(XXH128_hash_t digest) { return fmt::format("{:016x}{:016x}", digest.high64, digest.low64); }

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void write_and_flush(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.get() < 0) throw_storage("cannot write", path);
  for (std::size_t done = 0; done < bytes.size();) {
    const auto n = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_storage("cannot write", path);
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(file.get()) != 0) throw_storage("cannot flush", path);
}

}  // namespace

void throw_storage(const std::string& what, const std::filesystem::path& path) {
  const int reason = errno;
  throw Error(ExitCode::storage, fmt::format("{} {}: {}", what, path.string(), std::strerror(reason)),
              reason == ENOSPC || reason == EDQUOT ? "make space, then run again with --resume"
                                                   : "is the folder there, writable, and on a healthy disk?");
}

void sync_path(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY);
  if (file.get() < 0 || ::fsync(file.get()) != 0) throw_storage("cannot flush", path);
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) throw_storage("cannot rename to", to);
  sync_path(to.parent_path().empty() ? "." : to.parent_path());
}

void write_durably(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  if (path.has_parent_path()) make_folder(path.parent_path());
  const auto partial = path.string() + ".partial";
  try {
    write_and_flush(partial, bytes);
  } catch (const Error&) {
    ::unlink(partial.c_str());
    throw;
  }
  rename_durably(partial, path);
}

void write_durably(const std::filesystem::path& path, std::string_view text) {
  write_durably(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void write_flushed(const std::filesystem::path& path, std::string_view text) {
  write_and_flush(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ExitCode::input, fmt::format("cannot read {}", path.string()), "check the path");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string read_text(const std::filesystem::path& path, std::uint64_t most) {
  require_regular(path);
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (!failure && size > most)
    throw Error(ExitCode::input, fmt::format("{} has {} bytes, expected at most {}", path.string(), size, most),
                "the file is damaged, or another one");
  return read_text(path);
}

void require_regular(const std::filesystem::path& path) {
  std::error_code none;
  if (!std::filesystem::exists(path, none) || std::filesystem::is_regular_file(path, none)) return;
  throw Error(ExitCode::storage, fmt::format("{} is not a regular file", path.string()),
              "something else bears its name; move that away");
}

void point_link(const std::filesystem::path& link, const std::string& target) {
  const auto partial = link.string() + ".partial";
  ::unlink(partial.c_str());
  if (::symlink(target.c_str(), partial.c_str()) != 0) throw_storage("cannot make link", link);
  rename_durably(partial, link);
}

void make_folder(const std::filesystem::path& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (!failure) return;
  errno = failure.value();
  throw_storage("cannot make folder", path);
}

void Checksum::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

Checksum::Checksum() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  XXH3_128bits_reset(state_.get());
}

void Checksum::add(std::span<const std::byte> bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }

std::string Checksum::text() const { return digits(XXH3_128bits_digest(state_.get())); }

std::string checksum(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY);
  if (file.get() < 0) throw Error(ExitCode::input, fmt::format("cannot read {}", path.string()));
  Checksum sum;
  std::vector<std::byte> piece(std::size_t{1} << 20);
  for (;;) {
    const auto n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0) throw Error(ExitCode::input, fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
    if (n == 0) break;
    sum.add(std::span(piece).first(static_cast<std::size_t>(n)));
  }
  return sum.text();
}

std::string checksum_of_text(const std::string& text) { return digits(XXH3_128bits(text.data(), text.size())); }

}  // namespace langrun
