#include "data/streamed_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string_view>

#include "core/error.h"
#include "data/durable.h"
#include "data/piece_writer.h"
#include "data/seal.h"

namespace langrun {
namespace {

constexpr std::size_t kLargestPiece = 2 << 20, kSmallestPiece = 32 << 10;
// Asked of a source at once, so that the checksum reads from the cache what the source has just made.
constexpr std::uint64_t kAtOnce = 256 << 10;

/// What HDF5 itself wrote: the few bytes around the datasets.
class Layout {
 public:
  explicit Layout(const std::filesystem::path& path) : path_(path), in_(path, std::ios::binary) {}
  void read(std::uint64_t at, std::span<std::byte> out) {
    in_.seekg(static_cast<std::streamoff>(at));
    in_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
    if (!in_) throw Error(ExitCode::storage, fmt::format("cannot read back {}", path_.string()));
  }

 private:
  std::filesystem::path path_;
  std::ifstream in_;
};

/// Fills piece after piece, from front to back of the file.
class Stream {
 public:
  Stream(const std::filesystem::path& path, std::size_t piece, std::size_t spare) : writer_(path, piece, spare) {}

  std::uint64_t position() const { return position_; }
  /// Bytes until the piece is full.
  std::uint64_t room() const { return writer_.piece_bytes() - filled_; }
  std::byte* end() { return writer_.memory().data() + filled_; }
  void filled(std::uint64_t bytes) {
    checksum_.add(writer_.memory().subspan(filled_, bytes));
    filled_ += bytes;
    position_ += bytes;
    if (filled_ < writer_.piece_bytes()) return;
    filled_ -= writer_.piece_bytes();
    writer_.next(filled_);
  }
  void append(std::string_view text) {
    while (!text.empty()) {
      const auto bytes = std::min<std::uint64_t>(room(), text.size());
      std::memcpy(end(), text.data(), bytes);
      filled(bytes);
      text.remove_prefix(bytes);
    }
  }
  void seal() { append(seal_of(position_, checksum_.text())); }
  WrittenFile finish() {
    writer_.finish(filled_);
    return {position_, checksum_.text()};
  }

 private:
  PieceWriter writer_;
  Checksum checksum_;
  std::size_t filled_ = 0;
  std::uint64_t position_ = 0;
};

}  // namespace

void StreamedFile::add(const std::string& name, h5::Type type, const h5::Shape& shape, RowSource rows) {
  const auto dataset = layout_.reserve_dataset(name, type, shape);
  const auto count = shape.empty() ? 1 : shape[0], all = h5::elements(shape);
  place(dataset, count == 0 ? 0 : all / count * h5::bytes_of(type), std::move(rows));
}

void StreamedFile::add_bytes(const std::string& name, h5::Type type, const h5::Shape& shape, const std::byte* values) {
  const auto dataset = layout_.reserve_dataset(name, type, shape);
  const auto size = h5::bytes_of(type);
  place(dataset, size, [values, size](std::uint64_t first, std::uint64_t count, std::byte* out) {
    std::memcpy(out, values + first * size, count * size);
  });
}

void StreamedFile::seal() {
  if (!sealed_) layout_.mark_sealed();
  sealed_ = true;
}

void StreamedFile::place(const h5::Dataset& dataset, std::uint64_t grain, RowSource source) {
  const auto bytes = h5::elements(dataset.shape()) * h5::bytes_of(dataset.type());
  if (bytes == 0) return;
  const auto offset = dataset.offset();
  const auto end = parts_.empty() ? 0 : parts_.back().offset + parts_.back().bytes;
  if (!offset || *offset < end || *offset % 8 != 0)
    throw Error(ExitCode::internal,
                fmt::format("{}: HDF5 put {} where it cannot be streamed", path().string(), dataset.name()));
  parts_.push_back({*offset, bytes, grain, std::move(source)});
}

std::optional<WrittenFile> StreamedFile::write(std::size_t memory, const std::function<bool()>& stop) {
  const auto path = layout_.path();
  layout_.close();
  const auto whole = std::filesystem::file_size(path);
  std::uint64_t largest = 0;
  for (const auto& part : parts_) largest = std::max(largest, part.grain);
  Layout layout(path);
  // A piece holds a row at least: one row may be filled past a piece's end, and no more.
  const auto piece = std::clamp(memory / PieceWriter::kPieces, kSmallestPiece, kLargestPiece);
  Stream stream(path, std::max<std::size_t>(piece, largest), largest);
  const auto copy_layout = [&](std::uint64_t until) {
    while (stream.position() < until) {
      const auto bytes = std::min(stream.room(), until - stream.position());
      layout.read(stream.position(), {stream.end(), bytes});
      stream.filled(bytes);
    }
  };
  for (const auto& part : parts_) {
    copy_layout(part.offset);
    const auto units = part.bytes / part.grain;
    for (std::uint64_t first = 0; first < units;) {
      if (stop && stop()) return std::nullopt;
      const auto bytes = std::min(stream.room(), kAtOnce);
      const auto count = std::min(units - first, (bytes + part.grain - 1) / part.grain);
      part.source(first, count, stream.end());
      stream.filled(count * part.grain);
      first += count;
    }
  }
  copy_layout(whole);
  if (sealed_) stream.seal();
  return stream.finish();
}

}  // namespace langrun
