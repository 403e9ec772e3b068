// IDX, the format of MNIST and of sets made in its likeness: a file of images and, beside it, one of labels, each a
// header of big-endian numbers and then bytes. Either may be packed by gzip, as such sets are published.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/raster.h"

namespace langrun {

enum class IdxKind { none, images, labels };

struct IdxHeader {
  IdxKind kind = IdxKind::none;
  std::uint64_t count = 0;
  std::uint64_t height = 1, width = 1;  ///< of images
  /// Where the values begin, bytes.
  std::uint64_t begin() const { return kind == IdxKind::images ? 16 : 8; }
  /// Bytes of the whole file.
  std::uint64_t bytes() const { return begin() + count * height * width; }
};

/// What a file is, by its name (`...idx3-ubyte`, `...idx1-ubyte`, also with `.gz`) or its first bytes.
IdxKind idx_kind(std::string_view name, std::span<const std::uint8_t> head);

/// The header that a file of `kind` begins with. Throws Error(input), naming `name` and what was found, where it is cut
/// off, of another kind or element type, or states extents that no file has.
IdxHeader parse_idx(std::span<const std::uint8_t> head, IdxKind kind, const std::string& name);

/// Throws Error(input) where a file of `header` has another length than `bytes`.
void check_idx_length(const IdxHeader& header, std::uint64_t bytes, const std::string& name);

/// True where the name ends in .gz.
bool is_packed_idx(std::string_view name);

/// The header of a file on disk, packed or not; the length of one that is not packed is checked too.
IdxHeader read_idx_header(const std::filesystem::path& path, IdxKind kind);

/// The values of a whole file, packed or not, without its header. Throws Error(input) where it is damaged: what it
/// states is compared with the file's length before memory is taken, gzip's checksum afterwards.
std::vector<std::uint8_t> read_idx_values(const std::filesystem::path& path, IdxKind kind);

/// The grey image of one record of `width` * height bytes.
Raster decode_idx(std::span<const std::uint8_t> record, std::uint32_t width);

/// The labels' file that belongs to an images' file: `images` is `labels` in its name, `idx3` is `idx1`; without .gz.
/// Nothing where the name has no `images`.
std::optional<std::string> idx_labels_of(std::string_view images);

}  // namespace langrun
