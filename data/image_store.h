// Image stores (HDF5): /images uint8 or float32 [N, H, W, C], /labels int64 [N], attribute `classes`. A store is one
// file, or an index of shards that h5py reads as one file. Those that langrun makes guard what they hold
// (data/store_guard.h); others, and older ones, are taken as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/images.h"
#include "data/hdf5.h"

namespace langrun {

/// How a store came to be, kept as attributes of its root.
struct StoreRecord {
  std::string source;            ///< name of what was imported, without its folder
  std::string crop = "none";     ///< none (images as they were), center or random
  std::int64_t size = 0;         ///< short side asked for; 0: images as they were
  std::int64_t crop_copies = 1;  ///< crops per image
  std::int64_t seed = 0;         ///< of random crops and synthetic sets
  std::int64_t skipped = 0;      ///< damaged images left out
  std::string split = "all";     ///< all, train or test part of the source
  bool scaled_decoding = false;  ///< JPEGs decoded at a fraction of their size
  // With scaled decoding: images decoded so, how many of them were decoded in full as well, and how far those two lie
  // apart, in 8-bit levels of the stored pixels.
  std::int64_t scaled_images = 0;
  std::int64_t scaled_compared = 0;
  std::int64_t scaled_largest_difference = 0;
  double scaled_mean_difference = 0;
};

/// What a store's pixels are.
enum class Pixels {
  bytes,   ///< uint8, 0 .. 255
  floats,  ///< float32, values taken as they are
};
h5::Type stored_type(Pixels pixels);

/// Which stores a reader can do something with.
enum class Accept {
  bytes,    ///< pictures alone
  any_type  ///< float32 as well
};

/// Reads a store. Any number of threads may read at once; HDF5 takes them one by one, a call of read after the other.
class ImageStore {
 public:
  /// Opens and checks a store and all its shards. Throws Error(input), saying what was found and expected, where it is
  /// missing or damaged (labels, classes and attributes of a guarded one are checked here), /images is not [N, H, W, C]
  /// with N > 0 of uint8 (C 1 or 3) or float32 (C 1, 2 or 3), or /labels not int64 [N] with values 0 .. classes-1; and
  /// for float32 unless it is accepted.
  static ImageStore open(const std::filesystem::path& path, Accept accept = Accept::bytes);

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t count() const { return count_; }
  ImageShape shape() const { return shape_; }
  Pixels pixels() const { return pixels_; }
  /// Bytes of one value, and of one image.
  std::size_t value_bytes() const { return h5::bytes_of(stored_type(pixels_)); }
  std::size_t image_bytes() const { return static_cast<std::size_t>(shape_.elements()) * value_bytes(); }
  /// Names by label; "0", "1", ... where the file has none.
  const std::vector<std::string>& classes() const { return classes_; }
  const StoreRecord& record() const { return record_; }
  /// One checksum of all images, labels and attributes as they were written; none where the store is not guarded.
  const std::optional<std::string>& content() const { return content_; }
  std::size_t shards() const { return parts_.size(); }
  /// Tells this set of images from others, wherever it lies and in however many shards: a checksum of labels, extents
  /// and up to 256 images, and behind it, of a guarded store, one of the checksums of all images. Throws Error(input)
  /// as `read`.
  std::string identity() const;

  /// Images `indices` into `out`, [indices.size(), H, W, C] of uint8 or, as bytes in memory, of float32. Throws
  /// Error(input) where one cannot be read, or of a guarded store is not what was written.
  void read(std::span<const std::uint64_t> indices, std::span<std::uint8_t> out) const;
  /// Reads every image, so that all of a guarded store was checked. Throws Error(input) as `read`.
  void check_images() const;
  /// Their labels.
  void read_labels(std::span<const std::uint64_t> indices, std::span<std::int64_t> out) const;
  /// Every label, N of them.
  std::vector<std::int64_t> labels() const { return labels_.read<std::int64_t>(); }

 private:
  struct Part {
    std::uint64_t first = 0, rows = 0;
    h5::Dataset images;
  };
  void take_images(const h5::Dataset& images, Accept accept);
  void open_parts(const h5::File& file, const h5::Dataset& images);
  void check_labels(const h5::File& file);
  void take_checksums(const h5::File& file, const h5::File& part, std::uint64_t rows);
  void check_content(const h5::File& file);
  void read_stored(std::span<const std::uint64_t> indices, std::span<std::uint8_t> out) const;
  void check_read(std::span<const std::uint64_t> indices, std::span<const std::uint8_t> images) const;
  const Part& part_of(std::uint64_t index) const;

  std::filesystem::path path_;
  std::uint64_t count_ = 0;
  ImageShape shape_;
  Pixels pixels_ = Pixels::bytes;
  std::vector<std::string> classes_;
  StoreRecord record_;
  std::vector<Part> parts_;
  h5::Dataset labels_;
  std::optional<std::string> content_;    ///< of a guarded store
  std::vector<std::uint64_t> checksums_;  ///< of each image, where guarded
};

/// Whether two texts of `identity` can be of the same images; an empty one may be of any.
bool may_be_same_images(std::string_view one, std::string_view other);

/// Names of what a store's files carry; reader and writer share them.
namespace store_names {
inline constexpr const char* kImages = "/images";
inline constexpr const char* kLabels = "/labels";
inline constexpr const char* kClasses = "classes";
inline constexpr const char* kShards = "shards";
inline constexpr const char* kChecksums = "/checksums";
inline constexpr const char* kContent = "content";
inline constexpr const char* kFormat = "format_version";
inline constexpr std::int64_t kFormatVersion = 1;
}  // namespace store_names

/// Writes and reads the attributes of a record.
void write_record(h5::File& file, const StoreRecord& record);
StoreRecord read_record(const h5::File& file);

}  // namespace langrun
