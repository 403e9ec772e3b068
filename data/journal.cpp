#include "data/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

/// Before each record: a word that says what this is, the length, the checksum as text.
struct Frame {
  std::array<char, 8> word{};
  std::uint64_t length = 0;
  std::array<char, 32> checksum{};
};
constexpr std::array<char, 8> kWord{'l', 'a', 'n', 'g', 'r', 'u', 'n', '1'};

Frame frame_of(std::span<const std::byte> record) {
  Frame frame{kWord, record.size(), {}};
  Checksum sum;
  sum.add(record);
  const auto text = sum.text();
  std::memcpy(frame.checksum.data(), text.data(), frame.checksum.size());
  return frame;
}

/// Calls use(record) for each whole record; the bytes that all of them take.
template <class Use>
std::size_t whole_records(const std::string& bytes, const Use& use) {
  std::size_t at = 0;
  while (bytes.size() - at >= sizeof(Frame)) {
    Frame frame;
    std::memcpy(&frame, bytes.data() + at, sizeof frame);
    const auto left = bytes.size() - at - sizeof frame;
    if (frame.word != kWord || frame.length > left) break;
    const auto record = std::as_bytes(std::span(bytes)).subspan(at + sizeof frame, frame.length);
    if (frame_of(record).checksum != frame.checksum) break;
    use(record);
    at += sizeof frame + frame.length;
  }
  return at;
}

}  // namespace

std::vector<std::vector<std::byte>> read_journal(const std::filesystem::path& path) {
  std::vector<std::vector<std::byte>> records;
  if (!std::filesystem::exists(path)) return records;
  whole_records(read_text(path), [&](std::span<const std::byte> record) {
    records.emplace_back(record.begin(), record.end());
  });
  return records;
}

Journal::Journal(const std::filesystem::path& path) : path_(path) {
  std::string whole;
  if (std::filesystem::exists(path)) whole = read_text(path);
  end_ = whole_records(whole, [](std::span<const std::byte>) {});
  if (!std::filesystem::is_directory(path.parent_path())) {  // one that a newer start has taken away is not to come back
    errno = ENOENT;
    throw_storage("cannot write", path);
  }
  write_durably(path, std::string_view(whole).substr(0, end_));
  file_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file_ < 0) throw_storage("cannot write", path);
}

Journal::~Journal() {
  if (file_ >= 0) ::close(file_);
}

void Journal::add(std::span<const std::byte> record) {
  const auto frame = frame_of(record);
  std::vector<std::byte> bytes(sizeof frame + record.size());
  std::memcpy(bytes.data(), &frame, sizeof frame);
  if (!record.empty()) std::memcpy(bytes.data() + sizeof frame, record.data(), record.size());
  for (std::size_t done = 0; done < bytes.size();) {
    const auto wrote =
        ::pwrite(file_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(end_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) throw_storage("cannot write", path_);
    done += static_cast<std::size_t>(wrote);
  }
  end_ += bytes.size();
}

void Journal::sync() {
  if (::fsync(file_) != 0) throw_storage("cannot write", path_);
}

}  // namespace langrun
