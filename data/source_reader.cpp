#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/archive_walk.h"
#include "data/cifar_binary.h"
#include "data/idx.h"
#include "data/image_source.h"
#include "data/mapped_file.h"

namespace langrun {
namespace {

constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 31;

}  // namespace

/// A pass through one container for the entries that have no place of their own in it.
struct SourceReader::Stream {
  Stream(const std::filesystem::path& path, std::map<std::uint64_t, std::vector<std::uint64_t>> entries)
      : walk(path), wanted(std::move(entries)) {}

  ArchiveWalk walk;
  std::map<std::uint64_t, std::vector<std::uint64_t>> wanted;  ///< member ordinal: entries in it
  std::span<const std::uint8_t> member;
  std::vector<std::uint64_t> pending;  ///< entries of the current member, last one next
};

SourceReader::SourceReader(const ImageSource& source, std::uint64_t first, std::uint64_t last) : source_(source) {
  for (auto i = first; i < last; ++i) want(i);
}

SourceReader::SourceReader(const ImageSource& source, std::span<const std::uint64_t> entries) : source_(source) {
  for (const auto i : entries) want(i);
}

void SourceReader::want(std::uint64_t index) {
  const auto& entry = source_.entries[index];
  if (entry.ordinal == SourceEntry::kNotStreamed)
    direct_.push_back(index);
  else
    streamed_[entry.container][entry.ordinal].push_back(index);
}

SourceReader::~SourceReader() = default;

void SourceReader::read_direct(const SourceEntry& entry, std::vector<std::uint8_t>& out) {
  if (entry.size > kMostFileBytes)
    throw Error(ExitCode::input,
                fmt::format("{}: {} bytes, expected at most {}", source_.name_of(entry), entry.size, kMostFileBytes));
  out.resize(entry.size);
  if (entry.container == SourceEntry::kOwnFile) return PositionedFile(source_.root / entry.path).read(0, out);
  if (entry.encoding == SourceEntry::Encoding::idx && is_packed_idx(source_.containers[entry.container].string())) {
    // Whole and once: such files are some dozens of megabytes, and of one class after the other in no order.
    if (unpacked_container_ != entry.container)
      unpacked_ = read_idx_values(source_.containers[entry.container], IdxKind::images);
    unpacked_container_ = entry.container;
    if (entry.offset + entry.size > unpacked_.size())
      throw Error(ExitCode::input, fmt::format("{} has changed while it was read", source_.root.string()));
    std::copy_n(unpacked_.begin() + static_cast<std::ptrdiff_t>(entry.offset), entry.size, out.begin());
    return;
  }
  // A folder of a thousand tars is read one tar after the other, so one open file is enough.
  if (!open_ || open_container_ != entry.container) {
    open_ = std::make_unique<PositionedFile>(source_.containers[entry.container]);
    open_container_ = entry.container;
  }
  open_->read(entry.offset, out);
}

bool SourceReader::next(Item& item) {
  if (next_direct_ < direct_.size()) {
    item.index = direct_[next_direct_++];
    read_direct(source_.entries[item.index], item.bytes);
    return true;
  }
  for (;;) {
    if (!stream_) {
      if (streamed_.empty()) return false;
      auto first = streamed_.extract(streamed_.begin());
      stream_ = std::make_unique<Stream>(source_.containers[first.key()], std::move(first.mapped()));
    }
    if (!stream_->pending.empty()) break;
    if (stream_->wanted.empty()) {
      stream_.reset();
      continue;
    }
    const auto member = stream_->walk.next();
    if (!member) throw Error(ExitCode::input, fmt::format("{} has changed while it was read", source_.root.string()));
    const auto found = stream_->wanted.find(member->ordinal);
    if (found == stream_->wanted.end()) continue;
    stream_->member = stream_->walk.read();
    stream_->pending.assign(found->second.rbegin(), found->second.rend());
    stream_->wanted.erase(found);
  }
  item.index = stream_->pending.back();
  stream_->pending.pop_back();
  const auto& entry = source_.entries[item.index];
  if (entry.offset + entry.size > stream_->member.size())
    throw Error(ExitCode::input, fmt::format("{} has changed while it was read", source_.root.string()));
  const auto part = stream_->member.subspan(entry.offset, entry.size);
  item.bytes.assign(part.begin(), part.end());
  return true;
}

void decode_entry(const SourceEntry& entry, Bytes bytes, const DecodeSettings& settings, Decoded& out) {
  if (entry.encoding == SourceEntry::Encoding::idx) return take_whole(decode_idx(bytes, entry.width), out);
  if (entry.encoding != SourceEntry::Encoding::image) return take_whole(decode_cifar(bytes), out);
  decode_image(bytes, settings, out);
}

Raster decode_entry(const SourceEntry& entry, Bytes bytes, const DecodeSettings& settings) {
  Decoded decoded;
  decode_entry(entry, bytes, settings, decoded);
  return std::move(decoded.raster);
}

}  // namespace langrun
