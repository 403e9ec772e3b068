// What `data import` reads from: finding the images of a folder, an archive, CIFAR's binary or IDX files, in one fixed
// order, and handing out their bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/raster.h"
#include "data/codecs.h"

namespace langrun {

struct SourceSettings {
  enum class ClassFrom { folder, name };
  enum class Split { all, train, test };
  /// folder: the first path component that is not `train` or `test`; `all` where images stand in no folder.
  /// name: the file's name up to its first '_'.
  ClassFrom class_from = ClassFrom::folder;
  /// Which images are taken where the source has both: those under `train/` or `test/`, or in CIFAR's or IDX files of
  /// these.
  Split split = Split::all;
};

/// One image of a source.
struct SourceEntry {
  enum class Encoding : std::uint8_t { image, cifar10, cifar100, idx };
  static constexpr std::uint64_t kNotStreamed = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::uint32_t kOwnFile = std::numeric_limits<std::uint32_t>::max();

  std::string path;                      ///< within the source, '/' between components; orders images within a class
  std::uint32_t label = 0;               ///< place of its class in ImageSource::classes
  std::uint32_t container = kOwnFile;    ///< which of ImageSource::containers holds it, or a file of its own
  std::uint64_t offset = 0;              ///< of its bytes in the container; where streamed, in the member
  std::uint64_t size = 0;                ///< bytes
  std::uint64_t ordinal = kNotStreamed;  ///< its member's number in the container's walk, where it must be streamed
  Encoding encoding = Encoding::image;
  std::uint32_t width = 0;  ///< of images of IDX files, pixels
};

/// The images of a source, found but not decoded.
struct ImageSource {
  std::filesystem::path root;
  std::vector<std::filesystem::path> containers;
  std::vector<std::string> classes;
  /// Ordered by class, then path, bytewise: the same on every machine and rank.
  std::vector<SourceEntry> entries;
  /// Files that are no images by content, each as "path: what it looks like". Whether they matter is the caller's call.
  std::vector<std::string> foreign;
  /// How many entries come from `train` and how many from `test` parts.
  std::uint64_t train = 0, test = 0;

  /// Path and name of an entry, for messages.
  std::string name_of(const SourceEntry& entry) const;
  /// A number that differs where order, names, sizes or classes differ: ranks compare it.
  std::uint64_t fingerprint() const;
};

/// Finds the images of `root`: a folder, a tar (nested, compressed), a CIFAR .bin file, an IDX file of images with its
/// labels beside it, or a folder or tar of those (IDX files packed by gzip not within tars).
/// Reads headers only, where the archive is not compressed. Throws Error(input) where the source is missing, empty,
/// damaged, holds no images, or mixes kinds that have no common order.
ImageSource find_images(const std::filesystem::path& root, const SourceSettings& settings = {});

/// Hands out the bytes of some entries, each once: first those with a known place, in order, then those that have to be
/// streamed, in stored order, in one pass through each container. `source` must outlive it.
class SourceReader {
 public:
  /// Of entries [first, last).
  SourceReader(const ImageSource& source, std::uint64_t first, std::uint64_t last);
  /// Of these, none named twice.
  SourceReader(const ImageSource& source, std::span<const std::uint64_t> entries);
  ~SourceReader();
  SourceReader(const SourceReader&) = delete;
  SourceReader& operator=(const SourceReader&) = delete;

  struct Item {
    std::uint64_t index;  ///< place in ImageSource::entries
    std::vector<std::uint8_t> bytes;
  };
  /// False once all have been handed out. Throws Error(input) where the source cannot be read.
  bool next(Item& item);

 private:
  struct Stream;
  void want(std::uint64_t index);
  void read_direct(const SourceEntry& entry, std::vector<std::uint8_t>& out);

  const ImageSource& source_;
  std::vector<std::uint64_t> direct_;  ///< entries with a known place
  std::size_t next_direct_ = 0;
  std::map<std::uint32_t, std::map<std::uint64_t, std::vector<std::uint64_t>>>
      streamed_;  ///< container, ordinal, entries
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<class PositionedFile> open_;  ///< the container last read
  std::uint32_t open_container_ = 0;
  std::vector<std::uint8_t> unpacked_;  ///< the packed IDX file last read
  std::uint32_t unpacked_container_ = SourceEntry::kOwnFile;
};

/// The image of an entry. Throws Error(input) where the bytes are damaged or no image; the caller knows its name.
Raster decode_entry(const SourceEntry& entry, Bytes bytes, const DecodeSettings& settings);
/// The same into `out`, whose memory is used again.
void decode_entry(const SourceEntry& entry, Bytes bytes, const DecodeSettings& settings, Decoded& out);

}  // namespace langrun
