#include "data/idx.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "data/mapped_file.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 31;
constexpr std::uint64_t kLargestSide = 1 << 16;
// What gzip makes of zeros; a file that states more than this many times its own length is damaged.
constexpr std::uint64_t kMostPacking = 1100;
constexpr const char* kHint = "fetch the file again; it should be as MNIST is published";

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
  return value;
}

[[noreturn]] void damaged(const std::string& name, const std::string& what) {
  throw Error(ExitCode::input, fmt::format("{}: {}", name, what), kHint);
}

std::string_view without_gz(std::string_view name) {
  if (is_packed_idx(name)) name.remove_suffix(3);
  return name;
}

/// The bytes of a file packed by gzip, one after the other. At its end zlib compares gzip's checksum.
class Unpacker {
 public:
  explicit Unpacker(const fs::path& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    if (!file_) damaged(path.string(), "cannot be opened");
  }

  /// Fills `out`, but for what the file does not have; returns how much that is.
  std::size_t read(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
      const auto piece = static_cast<unsigned>(std::min(out.size() - done, std::size_t{1} << 30));
      const int n = gzread(file_.get(), out.data() + done, piece);
      // zlib hands through what is not packed.
      if (gzdirect(file_.get()) != 0) damaged(path_.string(), "is not packed by gzip, as its name says");
      int state = Z_OK;
      std::string_view reason = gzerror(file_.get(), &state);
      // zlib sets the path before its reason.
      if (const auto colon = reason.rfind(": "); colon != reason.npos) reason.remove_prefix(colon + 2);
      if (n < 0 || state != Z_OK) damaged(path_.string(), fmt::format("is damaged: {}", reason));
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  fs::path path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

IdxHeader unpack_header(Unpacker& unpacker, const fs::path& path, IdxKind kind, std::vector<std::uint8_t>& head) {
  head.resize(kind == IdxKind::images ? 16 : 8);
  head.resize(unpacker.read(head));
  const auto header = parse_idx(head, kind, path.string());
  std::error_code ignored;
  if (header.bytes() / kMostPacking > fs::file_size(path, ignored))
    damaged(path.string(), fmt::format("its header states {} bytes, more than it can hold", header.bytes()));
  return header;
}

std::vector<std::uint8_t> unpacked_values(const fs::path& path, IdxKind kind) {
  Unpacker unpacker(path);
  std::vector<std::uint8_t> all;
  const auto header = unpack_header(unpacker, path, kind, all);
  // One byte more than it should have, so that more is seen, and the end, where the checksum stands.
  all.resize(header.bytes() + 1);
  const auto found = header.begin() + unpacker.read(std::span(all).subspan(header.begin()));
  check_idx_length(header, found, path.string());
  all.pop_back();
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(header.begin()));
  return all;
}

}  // namespace

bool is_packed_idx(std::string_view name) { return name.ends_with(".gz"); }

IdxKind idx_kind(std::string_view name, std::span<const std::uint8_t> head) {
  const auto plain = without_gz(name);
  if (plain.ends_with("idx3-ubyte") || plain.ends_with("idx3.ubyte")) return IdxKind::images;
  if (plain.ends_with("idx1-ubyte") || plain.ends_with("idx1.ubyte")) return IdxKind::labels;
  // A record of CIFAR's may begin with any bytes.
  if (plain.ends_with(".bin") || head.size() < 8 || head[0] != 0 || head[1] != 0 || head[2] != 8) return IdxKind::none;
  return head[3] == 3 ? IdxKind::images : head[3] == 1 ? IdxKind::labels : IdxKind::none;
}

IdxHeader parse_idx(std::span<const std::uint8_t> head, IdxKind kind, const std::string& name) {
  IdxHeader header{kind};
  if (head.size() < header.begin())
    damaged(name, fmt::format("{} bytes, an IDX header has {}", head.size(), header.begin()));
  const std::uint32_t wanted = kind == IdxKind::images ? 0x803 : 0x801, found = big_endian(head, 0);
  if (found != wanted)
    damaged(name, fmt::format("begins with {:#010x}, IDX files of {} with {:#010x} (8-bit, {})", found,
                              kind == IdxKind::images ? "images" : "labels", wanted,
                              kind == IdxKind::images ? "three extents" : "one extent"));
  header.count = big_endian(head, 4);
  if (kind == IdxKind::images) {
    header.height = big_endian(head, 8);
    header.width = big_endian(head, 12);
  }
  if (header.count == 0 || header.height == 0 || header.width == 0 || header.height > kLargestSide ||
      header.width > kLargestSide || header.count > kMostBytes / (header.height * header.width))
    damaged(name, fmt::format("its header states {} of {} x {}, expected at least one, and at most {} bytes in all",
                              header.count, header.height, header.width, kMostBytes));
  return header;
}

void check_idx_length(const IdxHeader& header, std::uint64_t bytes, const std::string& name) {
  if (bytes == header.bytes()) return;
  damaged(name, fmt::format("has {} {} bytes, its header states {}", bytes < header.bytes() ? "only" : "at least",
                            bytes, header.bytes()));
}

IdxHeader read_idx_header(const fs::path& path, IdxKind kind) {
  if (is_packed_idx(path.string())) {
    Unpacker unpacker(path);
    std::vector<std::uint8_t> head;
    return unpack_header(unpacker, path, kind, head);
  }
  const PositionedFile file(path);
  std::vector<std::uint8_t> head(std::min<std::uint64_t>(file.size(), 16));
  file.read(0, head);
  const auto header = parse_idx(head, kind, path.string());
  check_idx_length(header, file.size(), path.string());
  return header;
}

std::vector<std::uint8_t> read_idx_values(const fs::path& path, IdxKind kind) {
  if (is_packed_idx(path.string())) return unpacked_values(path, kind);
  const auto header = read_idx_header(path, kind);
  std::vector<std::uint8_t> values(header.bytes() - header.begin());
  PositionedFile(path).read(header.begin(), values);
  return values;
}

Raster decode_idx(std::span<const std::uint8_t> record, std::uint32_t width) {
  const auto height = static_cast<std::int64_t>(record.size()) / width;
  return {height, width, 1, {record.begin(), record.end()}};
}

std::optional<std::string> idx_labels_of(std::string_view images) {
  std::string name(without_gz(images));
  const auto folder = name.rfind('/') + 1;  // 0 where there is none
  const auto word = name.rfind("images");
  if (word == std::string::npos || word < folder) return std::nullopt;
  name.replace(word, 6, "labels");
  if (const auto extents = name.rfind("idx3"); extents != std::string::npos && extents >= folder)
    name[extents + 3] = '1';
  return name;
}

}  // namespace langrun
