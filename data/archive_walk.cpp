#include "data/archive_walk.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "core/error.h"
#include "data/archive_reason.h"
#include "data/codecs.h"
#include "data/mapped_file.h"

namespace langrun {
namespace {

constexpr std::size_t kHeadBytes = 512;
// ImageNet is a tar of tars: two levels. One more for a wrapper; beyond that somebody is playing tricks.
constexpr std::size_t kMostLevels = 3;
constexpr std::uint64_t kMostMemberBytes = std::uint64_t{1} << 31;
// Memory is taken as bytes come: a header may state more than there is.
constexpr std::size_t kPiece = std::size_t{1} << 20;

bool begins(std::span<const std::uint8_t> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool is_compressed(std::span<const std::uint8_t> head) {
  using namespace std::string_view_literals;
  return begins(head, "\x1f\x8b"sv) || begins(head, "BZh"sv) ||
         begins(head,
                "\xfd"
                "7zXZ\0"sv) ||
         begins(head, "\x28\xb5\x2f\xfd"sv);
}

/// True where the block is a tar header: its checksum, the one thing that all dialects share, is right.
bool is_tar_header(std::span<const std::uint8_t> head) {
  if (head.size() < 512) return false;
  unsigned sum = 0, stated = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : head[i];
  std::size_t i = 148;
  while (i < 156 && head[i] == ' ') ++i;
  const auto first = i;
  for (; i < 156 && head[i] >= '0' && head[i] <= '7'; ++i) stated = stated * 8 + (head[i] - '0');
  return i > first && sum == stated;
}

struct Free {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Archive = std::unique_ptr<archive, Free>;

Archive new_reader() {
  Archive a(archive_read_new());
  if (!a) throw Error(ExitCode::internal, "libarchive does not start");
  archive_read_support_format_tar(a.get());
  // By name: "all" would bring filters that start other programs.
  archive_read_support_filter_gzip(a.get());
  archive_read_support_filter_bzip2(a.get());
  archive_read_support_filter_xz(a.get());
  archive_read_support_filter_zstd(a.get());
  return a;
}

std::string name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  // In a plain C locale names outside ASCII have no local form.
  if (name == nullptr) name = archive_entry_pathname_utf8(entry);
  return name == nullptr ? "" : name;
}

}  // namespace

struct ArchiveWalk::Level {
  Archive reader;
  std::string prefix;                    ///< path of the nested tar with a slash, or empty
  std::span<const std::uint8_t> memory;  ///< its bytes within the mapping; empty where it is streamed out of `parent`
  Level* parent = nullptr;
  std::uint64_t size = 0;                ///< of the current member
  std::span<const std::uint8_t> direct;  ///< the current member's bytes in the mapping, where they stand there
  std::vector<std::uint8_t> content;     ///< what has been read of the current member otherwise
  std::vector<std::uint8_t> piece;       ///< what the reader of a streamed level was last handed
  bool head_handed = false;
  std::uint64_t end = 0;  ///< in `memory`, where the last member ended

  /// Appends up to `count` bytes of the current member to `content`; fewer only at its end. -1 where damaged.
  bool pull(std::size_t count) {
    while (count > 0) {
      const auto before = content.size(), most = std::min(count, kPiece);
      content.resize(before + most);
      const auto n = archive_read_data(reader.get(), content.data() + before, most);
      content.resize(before + static_cast<std::size_t>(std::max<la_ssize_t>(n, 0)));
      if (n < 0) return false;
      if (n == 0) return true;
      count -= static_cast<std::size_t>(n);
    }
    return true;
  }

  /// libarchive's read callback of a streamed level: its bytes are those of the parent's current member.
  static la_ssize_t feed(archive* reader, void* data, const void** out) {
    auto& level = *static_cast<Level*>(data);
    if (!level.head_handed) {
      level.head_handed = true;
      *out = level.parent->content.data();
      return static_cast<la_ssize_t>(level.parent->content.size());
    }
    level.piece.resize(std::size_t{1} << 16);
    const auto n = archive_read_data(level.parent->reader.get(), level.piece.data(), level.piece.size());
    *out = level.piece.data();
    if (n < 0)
      archive_set_error(reader, archive_errno(level.parent->reader.get()), "%s",
                        archive_reason(level.parent->reader.get()).c_str());
    return n;
  }

  bool plain() const { return !memory.empty() && archive_filter_code(reader.get(), 0) == ARCHIVE_FILTER_NONE; }
};

ArchiveWalk::ArchiveWalk(const std::filesystem::path& path) : path_(path), file_(std::make_unique<MappedFile>(path)) {
  const auto bytes = file_->bytes();
  if (bytes.empty())
    throw Error(ExitCode::input, fmt::format("{} is empty", path.string()), "expected a tar of images");
  const auto first = bytes.first(std::min(bytes.size(), kHeadBytes));
  if (!looks_like_archive(first))
    throw Error(ExitCode::input,
                fmt::format("{} is {}, expected a folder, a tar, CIFAR binary or IDX files", path.string(),
                            describe_content(first)),
                "tars may be compressed by gzip, bzip2, xz or zstd");
  // Of a plain tar only headers are touched; reading ahead would fetch all of it.
  file_->advise(is_compressed(first) ? MappedFile::Access::sequential : MappedFile::Access::scattered);
  auto level = std::make_unique<Level>();
  level->reader = new_reader();
  level->memory = bytes;
  if (archive_read_open_memory(level->reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
    throw Error(ExitCode::input, fmt::format("{}: {}", path.string(), archive_reason(level->reader.get())));
  levels_.push_back(std::move(level));
}

ArchiveWalk::~ArchiveWalk() {
  // A streamed level reads from the one below it, so the innermost goes first.
  while (!levels_.empty()) levels_.pop_back();
}

void ArchiveWalk::fail(const std::string& what) const {
  const auto& prefix = levels_.back()->prefix;
  throw Error(ExitCode::input, fmt::format("{}: {}{}{}", path_.string(), prefix, prefix.empty() ? "" : ": ", what),
              "the archive is cut off or damaged; fetch or make it again");
}

std::optional<ArchiveMember> ArchiveWalk::next() {
  while (!levels_.empty()) {
    auto& level = *levels_.back();
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(level.reader.get(), &entry);
    if (status == ARCHIVE_EOF) {
      leave();
      continue;
    }
    if (status < ARCHIVE_WARN) fail(archive_reason(level.reader.get()));
    if (archive_entry_filetype(entry) == AE_IFDIR) continue;
    ArchiveMember member;
    try {
      member.path = level.prefix + clean_path(name_of(entry));
    } catch (const std::invalid_argument&) {
      fail(fmt::format("'{}' leads out of the archive", name_of(entry)));
    }
    if (member.path.size() == level.prefix.size()) fail("a file in it has no name");
    const bool litter = is_litter(member.path);
    if (archive_entry_hardlink(entry) != nullptr || archive_entry_filetype(entry) != AE_IFREG) {
      if (litter) continue;
      fail(fmt::format("'{}' is a link or a device, expected files", member.path));
    }
    if (archive_entry_sparse_count(entry) > 0) fail(fmt::format("'{}' is stored as a sparse file", member.path));
    member.size = static_cast<std::uint64_t>(archive_entry_size(entry));
    level.size = member.size;
    level.content.clear();
    level.direct = {};
    if (level.plain() && member.size > 0) find_place(member);
    if (litter) continue;
    if (!has_image_suffix(member.path) && enter_if_archive(member)) continue;
    member.ordinal = ordinal_++;
    return member;
  }
  return std::nullopt;
}

void ArchiveWalk::find_place(ArchiveMember& member) {
  auto& level = *levels_.back();
  const void* data = nullptr;
  std::size_t length = 0;
  la_int64_t at = 0;
  // libarchive hands out memory of ours, not a copy: that is how the place of the bytes in the file is known.
  if (archive_read_data_block(level.reader.get(), &data, &length, &at) != ARCHIVE_OK || at != 0 ||
      length != member.size)
    fail(fmt::format("'{}' is cut off", member.path));
  level.direct = {static_cast<const std::uint8_t*>(data), length};
  member.offset = static_cast<std::uint64_t>(level.direct.data() - file_->bytes().data());
  level.end = static_cast<std::uint64_t>(level.direct.data() - level.memory.data()) + length;
}

bool ArchiveWalk::enter_if_archive(const ArchiveMember& member) {
  if (!looks_like_archive(head())) return false;
  if (levels_.size() == kMostLevels) fail(fmt::format("'{}': archives nested over {} deep", member.path, kMostLevels));
  auto inner = std::make_unique<Level>();
  inner->reader = new_reader();
  inner->prefix = without_archive_suffix(member.path) + "/";  // hidden names, such as "...tar", do not come here
  inner->parent = levels_.back().get();
  inner->memory = inner->parent->direct;
  const int status = inner->memory.empty()
                         ? archive_read_open(inner->reader.get(), inner.get(), nullptr, Level::feed, nullptr)
                         : archive_read_open_memory(inner->reader.get(), inner->memory.data(), inner->memory.size());
  if (status != ARCHIVE_OK) fail(fmt::format("'{}': {}", member.path, archive_reason(inner->reader.get())));
  levels_.push_back(std::move(inner));
  return true;
}

void ArchiveWalk::leave() {
  const auto& level = *levels_.back();
  // A tar ends with blocks of zeros. One that just stops after a member has been cut off, which libarchive lets pass.
  if (level.plain() && level.end > 0) {
    const auto end = (level.end + 511) / 512 * 512;
    if (level.memory.size() < end + 512) fail("ends without an end mark, so it is cut off");
  }
  levels_.pop_back();
}

std::span<const std::uint8_t> ArchiveWalk::head() {
  auto& level = *levels_.back();
  if (!level.direct.empty()) return level.direct.first(std::min(level.direct.size(), kHeadBytes));
  if (level.content.empty() && !level.pull(kHeadBytes)) fail(archive_reason(level.reader.get()));
  return {level.content.data(), std::min(level.content.size(), kHeadBytes)};
}

std::span<const std::uint8_t> ArchiveWalk::read() {
  auto& level = *levels_.back();
  if (!level.direct.empty()) return level.direct;
  if (level.size > kMostMemberBytes)
    fail(fmt::format("a file of {} bytes, expected at most {}", level.size, kMostMemberBytes));
  if (!level.pull(level.size - std::min<std::uint64_t>(level.size, level.content.size())))
    fail(archive_reason(level.reader.get()));
  if (level.content.size() != level.size) fail("a file is cut off");
  return level.content;
}

std::string clean_path(const std::string& path) {
  std::string clean;
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto component = path.substr(at, end - at);
    if (component == "..") throw std::invalid_argument(path);
    if (!component.empty() && component != ".") clean += (clean.empty() ? "" : "/") + component;
    at = end + 1;
  }
  return clean;
}

std::string without_archive_suffix(const std::string& path) {
  for (const std::string_view suffix : {".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tar", ".tgz", ".tbz2", ".txz"})
    if (path.size() > suffix.size() && path.ends_with(suffix)) return path.substr(0, path.size() - suffix.size());
  return path;
}

bool looks_like_archive(std::span<const std::uint8_t> head) { return is_compressed(head) || is_tar_header(head); }

bool has_image_suffix(const std::string& path) {
  const auto dot = path.rfind('.');
  if (dot == std::string::npos) return false;
  auto suffix = path.substr(dot + 1);
  std::transform(suffix.begin(), suffix.end(), suffix.begin(), [](unsigned char c) { return std::tolower(c); });
  return suffix == "jpg" || suffix == "jpeg" || suffix == "png";
}

bool is_litter(const std::string& path) {
  const auto component_is_litter = [](std::string_view name) {
    return name.starts_with(".") || name == "__MACOSX" || name == "Thumbs.db" || name == "desktop.ini";
  };
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    if (component_is_litter(std::string_view(path).substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace langrun
