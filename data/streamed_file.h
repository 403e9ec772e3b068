// HDF5 files of many gigabytes, written at the disk's rate: HDF5 lays the file out, and what the datasets hold goes
// past it, from front to back, its checksum taken on the way. Meanwhile nobody holds HDF5's lock (design invariant 6):
// a loader reads as if nothing was being written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/hdf5.h"

namespace langrun {

/// Gives rows [first, first + count) of a dataset, as they lie in the file, to `out`, which is aligned to 8 bytes where
/// `first` rows are. Called once for each row, in rising order.
using RowSource = std::function<void(std::uint64_t first, std::uint64_t count, std::byte* out)>;

/// A file on the disk, as a manifest names it.
struct WrittenFile {
  std::uint64_t bytes = 0;
  std::string checksum;  ///< 128-bit XXH3
};

class StreamedFile {
 public:
  /// Creates the file. Throws Error(storage) where it exists already or cannot be written.
  explicit StreamedFile(const std::filesystem::path& path) : layout_(h5::File::create_layout(path)) {}

  const std::filesystem::path& path() const { return layout_.path(); }
  void create_group(const std::string& name) { layout_.create_group(name); }
  template <typename T>
  void write_attribute(const std::string& object, const std::string& name, const T& value) {
    layout_.write_attribute(object, name, value);
  }
  /// A dataset whose rows come from `rows` when the file is written.
  void add(const std::string& name, h5::Type type, const h5::Shape& shape, RowSource rows);
  /// A dataset from memory, which stays there unchanged until the file is written.
  template <typename T>
  void add(const std::string& name, const h5::Shape& shape, const T* values) {
    add_bytes(name, h5::type_of<T>(), shape, reinterpret_cast<const std::byte*>(values));
  }

  /// The file will end in a seal (data/seal.h): for files that are read whole anyway. Before `write`; again is nothing.
  void seal();

  /// Writes everything and flushes it to the disk; the last call. Nothing where `stop` said so between two pieces: then
  /// the file is incomplete. `memory` bounds the pieces held, bytes,
  /// but for rows larger than a piece. Throws Error(storage), naming the file.
  std::optional<WrittenFile> write(std::size_t memory, const std::function<bool()>& stop = {});

 private:
  struct Part {
    std::uint64_t offset, bytes;
    std::uint64_t grain;  // bytes that a source gives at once at least
    RowSource source;
  };
  void add_bytes(const std::string& name, h5::Type type, const h5::Shape& shape, const std::byte* values);
  void place(const h5::Dataset& dataset, std::uint64_t grain, RowSource source);

  h5::File layout_;
  std::vector<Part> parts_;  // by offset
  bool sealed_ = false;
};

}  // namespace langrun
