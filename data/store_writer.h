// Writing image stores. The order of calls, by one rank or several:
//   StoreTarget(out).prepare() once; a ShardWriter each; finish() each; StoreTarget::publish() once.
// Until publish, everything bears `.partial` in its name; `discard` removes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/images.h"
#include "data/hdf5.h"
#include "data/image_store.h"

namespace langrun {

/// Where a store goes: OUT alone, or OUT as an index of the shards in OUT.d/.
class StoreTarget {
 public:
  StoreTarget(std::filesystem::path out, int writers) : out_(std::move(out)), writers_(writers) {}

  /// One writer. Throws Error(usage) where OUT or OUT.d exists, or where another program is writing them just now;
  /// removes what a killed one left; makes the folder of shards.
  void prepare() const;
  /// The file that writer `writer` fills.
  std::filesystem::path shard_path(int writer) const;

  /// Everything of a store besides its pixels.
  struct Contents {
    ImageShape shape;
    std::vector<std::uint64_t> rows;   ///< images per writer
    std::vector<std::int64_t> labels;  ///< of all images, in order
    std::vector<std::string> classes;
    StoreRecord record;
    Pixels pixels = Pixels::bytes;
  };
  /// One writer, after all have finished: completes the store and gives it its name. Throws Error(storage).
  void publish(const Contents& contents) const;
  /// One writer: removes everything that is not published.
  void discard() const noexcept;

 private:
  std::filesystem::path partial() const { return out_.string() + ".partial"; }
  std::filesystem::path folder() const { return out_.string() + ".d"; }
  std::filesystem::path partial_folder() const { return folder().string() + ".partial"; }
  bool sharded() const { return writers_ > 1; }
  /// Of all images, in order, out of the files that the writers have finished.
  std::vector<std::uint64_t> checksums(const Contents& contents) const;
  static std::string shard_name(int writer);

  std::filesystem::path out_;
  int writers_;
};

/// Writes rows of one file. Rows may come in any order; those that never come are closed up at the end.
class ShardWriter {
 public:
  /// `rows` at most will be written. Nothing is created before the first `put`.
  ShardWriter(std::filesystem::path path, std::uint64_t rows, Pixels pixels = Pixels::bytes);

  /// Writes [H, W, C] to `row`: uint8 or, as bytes in memory, float32. All images have the shape of the first. Throws
  /// Error(storage) on a full disk.
  void put(std::uint64_t row, const ImageShape& shape, std::span<const std::uint8_t> pixels);
  /// Closes up rows that were not put, flushes to the disk and closes. Returns which rows were put, in order.
  std::vector<std::uint64_t> finish();

  const std::optional<ImageShape>& shape() const { return shape_; }

 private:
  void create(const ImageShape& shape);
  void flush();
  void close_up();

  std::filesystem::path path_;
  std::uint64_t rows_;
  Pixels type_;
  std::optional<ImageShape> shape_;
  std::optional<h5::File> file_;
  std::optional<h5::Dataset> images_;
  std::size_t image_bytes_ = 0;
  std::vector<bool> present_;
  std::vector<std::uint64_t> checksums_;  ///< of each row that was put
  std::vector<std::uint8_t> buffer_;      ///< consecutive rows on their way to the file
  std::uint64_t buffer_first_ = 0, buffer_rows_ = 0, buffer_most_ = 1;
};

}  // namespace langrun
