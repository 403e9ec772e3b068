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

/// The whole record whose frame begins at `at`; nothing where there is none.
std::optional<std::span<const std::byte>> record_at(std::string_view bytes, std::size_t at) {
  if (bytes.size() - at < sizeof(Frame)) return std::nullopt;
  Frame frame;
  std::memcpy(&frame, bytes.data() + at, sizeof frame);
  const auto left = bytes.size() - at - sizeof frame;
  if (frame.word != kWord || frame.length > left) return std::nullopt;
  const auto record = std::as_bytes(std::span(bytes)).subspan(at + sizeof frame, frame.length);
  if (frame_of(record).checksum != frame.checksum) return std::nullopt;
  return record;
}

/// Calls use(record) for each whole record; the bytes that all of them take.
template <class Use>
std::size_t whole_records(std::string_view bytes, const Use& use) {
  std::size_t at = 0;
  while (const auto record = record_at(bytes, at)) {
    use(*record);
    at += sizeof(Frame) + record->size();
  }
  return at;
}

bool holds_a_record(std::string_view bytes) {
  const std::string_view word(kWord.data(), kWord.size());
  for (auto at = bytes.find(word); at != bytes.npos; at = bytes.find(word, at + 1))
    if (record_at(bytes, at)) return true;
  return false;
}

/// Whether `rest`, which follows the last whole record, is the beginning of one: what a kill amid its write leaves.
bool is_cut_off(std::string_view rest) {
  const auto word = std::string_view(kWord.data(), kWord.size()).substr(0, rest.size());
  if (!rest.starts_with(word)) return false;
  if (rest.size() < sizeof(Frame)) return true;
  Frame frame;
  std::memcpy(&frame, rest.data(), sizeof frame);
  const auto begun = rest.substr(sizeof frame);
  if (frame.length <= begun.size()) return false;
  // So looks a whole record, too, whose length a fallen bit has made longer: then it is all there, or others follow.
  return frame_of(std::as_bytes(std::span(begun))).checksum != frame.checksum && !holds_a_record(begun);
}

std::string text_of(const std::filesystem::path& path) {
  require_regular(path);
  return std::filesystem::exists(path) ? read_text(path) : std::string();
}

/// Writes `bytes` beside the file, under a name that was free.
std::filesystem::path keep_beside(const std::filesystem::path& path, std::string_view bytes) {
  std::error_code none;
  std::filesystem::path kept;
  for (int number = 1; kept.empty() || std::filesystem::exists(kept, none); ++number)
    kept = fmt::format("{}.damaged-{}", path.string(), number);
  write_durably(kept, bytes);
  return kept;
}

}  // namespace

JournalContent journal_content(const std::filesystem::path& path) {
  JournalContent content;
  const auto bytes = text_of(path);
  content.end = whole_records(
      bytes, [&](std::span<const std::byte> record) { content.records.emplace_back(record.begin(), record.end()); });
  content.rest = bytes.size() - content.end;
  content.damaged = !is_cut_off(std::string_view(bytes).substr(content.end));
  return content;
}

std::vector<std::vector<std::byte>> read_journal(const std::filesystem::path& path) {
  return journal_content(path).records;
}

Journal::Journal(const std::filesystem::path& path) : path_(path) {
  const auto found = text_of(path);
  end_ = whole_records(found, [](std::span<const std::byte>) {});
  if (!std::filesystem::is_directory(
          path.parent_path())) {  // one that a newer start has taken away is not to come back
    errno = ENOENT;
    throw_storage("cannot write", path);
  }
  const auto rest = std::string_view(found).substr(end_);
  if (!is_cut_off(rest)) damage_ = {end_, rest.size(), keep_beside(path, found)};
  write_durably(path, std::string_view(found).substr(0, end_));
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
    const auto wrote = ::pwrite(file_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(end_ + done));
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
