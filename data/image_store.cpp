#include "data/image_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "data/codecs.h"
#include "data/durable.h"
#include "data/store_guard.h"

namespace langrun {
namespace {

constexpr const char* kExpected =
    "expected /images uint8 [N, H, W, C] with C 1 or 3, /labels int64 [N]; `langrun data import` makes one";
constexpr const char* kChanged =
    "the store is damaged, make it again; one that was changed on purpose is taken as it is without its attribute "
    "`content` and its /checksums";
constexpr std::uint64_t kLabelPiece = std::uint64_t{1} << 17;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(ExitCode::input, fmt::format("{}: {}", path.string(), what), kExpected);
}

/// True where a shard's name is not that of a file below the store's own folder.
bool leads_out(const std::filesystem::path& name) {
  return name.is_absolute() || std::find(name.begin(), name.end(), "..") != name.end();
}

}  // namespace

h5::Type stored_type(Pixels pixels) { return pixels == Pixels::floats ? h5::Type::f32 : h5::Type::u8; }

void write_record(h5::File& file, const StoreRecord& record) {
  file.write_attribute("/", store_names::kFormat, store_names::kFormatVersion);
  file.write_attribute("/", "source", record.source);
  file.write_attribute("/", "split", record.split);
  file.write_attribute("/", "crop", record.crop);
  file.write_attribute("/", "size", record.size);
  file.write_attribute("/", "crop_copies", record.crop_copies);
  file.write_attribute("/", "seed", record.seed);
  file.write_attribute("/", "skipped", record.skipped);
  file.write_attribute("/", "scaled_decoding", std::int64_t{record.scaled_decoding});
  if (!record.scaled_decoding) return;
  file.write_attribute("/", "scaled_images", record.scaled_images);
  file.write_attribute("/", "scaled_compared", record.scaled_compared);
  file.write_attribute("/", "scaled_largest_difference", record.scaled_largest_difference);
  file.write_attribute("/", "scaled_mean_difference", record.scaled_mean_difference);
}

StoreRecord read_record(const h5::File& file) {
  StoreRecord record;
  const auto text = [&](const char* name, std::string& field) {
    if (file.has_attribute("/", name)) field = file.read_text_attribute("/", name);
  };
  const auto number = [&](const char* name, std::int64_t& field) {
    if (file.has_attribute("/", name)) field = file.read_int_attribute("/", name);
  };
  text("source", record.source);
  text("split", record.split);
  text("crop", record.crop);
  number("size", record.size);
  number("crop_copies", record.crop_copies);
  number("seed", record.seed);
  number("skipped", record.skipped);
  std::int64_t scaled = 0;
  number("scaled_decoding", scaled);
  record.scaled_decoding = scaled != 0;
  number("scaled_images", record.scaled_images);
  number("scaled_compared", record.scaled_compared);
  number("scaled_largest_difference", record.scaled_largest_difference);
  if (file.has_attribute("/", "scaled_mean_difference"))
    record.scaled_mean_difference = file.read_real_attribute("/", "scaled_mean_difference");
  return record;
}

ImageStore ImageStore::open(const std::filesystem::path& path, Accept accept) {
  const auto file = h5::File::open(path);
  ImageStore store;
  store.path_ = path;
  for (const char* name : {store_names::kImages, store_names::kLabels})
    if (!file.has(name) || file.is_group(name)) fail(path, fmt::format("has no dataset {}", name));
  if (file.has_attribute("/", store_names::kFormat)) {
    const auto version = file.read_int_attribute("/", store_names::kFormat);
    if (version > store_names::kFormatVersion)
      throw Error(ExitCode::input,
                  fmt::format("{} is of format {}, this langrun reads up to {}", path.string(), version,
                              store_names::kFormatVersion),
                  "use a newer langrun");
  }
  if (file.has_attribute("/", store_names::kContent))
    store.content_ = file.read_text_attribute("/", store_names::kContent);
  const auto images = file.dataset(store_names::kImages);
  store.take_images(images, accept);
  store.open_parts(file, images);
  store.check_labels(file);
  store.check_content(file);
  store.record_ = read_record(file);
  return store;
}

void ImageStore::take_images(const h5::Dataset& images, Accept accept) {
  const auto& shape = images.shape();
  const auto found = fmt::format("/images is {} {}", h5::name_of(images.type()), h5::to_text(shape));
  const bool floats = images.type() == h5::Type::f32;
  if (!floats && images.type() != h5::Type::u8) fail(path_, found + ", expected uint8");
  if (shape.size() != 4) fail(path_, found + ", expected four extents [N, H, W, C]");
  if (shape[0] == 0) fail(path_, found + ", expected at least one image");
  if (shape[1] == 0 || shape[2] == 0) fail(path_, found + ", expected at least one pixel");
  constexpr auto kMost = static_cast<std::uint64_t>(kMostImagePixels);
  if (shape[1] > kMost || shape[2] > kMost / shape[1])
    fail(path_, fmt::format("{}, expected at most {} pixels an image", found, kMost));
  if (floats && (shape[3] < 1 || shape[3] > 3)) fail(path_, found + ", expected 1, 2 or 3 channels, last");
  if (!floats && shape[3] != 1 && shape[3] != 3) fail(path_, found + ", expected 1 or 3 channels, last");
  if (floats && accept == Accept::bytes)
    throw Error(ExitCode::input, fmt::format("{}: {}, expected 8-bit pictures here", path_.string(), found),
                "stores of float32 values are for training, `data info` and `density`");
  pixels_ = floats ? Pixels::floats : Pixels::bytes;
  count_ = shape[0];
  shape_ = {static_cast<std::int64_t>(shape[3]), static_cast<std::int64_t>(shape[1]),
            static_cast<std::int64_t>(shape[2])};
}

void ImageStore::open_parts(const h5::File& file, const h5::Dataset& images) {
  if (!file.has_attribute("/", store_names::kShards)) {
    parts_.push_back({0, count_, file.dataset(store_names::kImages)});
    take_checksums(file, file, count_);
    return;
  }
  // Shards are read directly: through the index HDF5 would give black images for a shard that is missing.
  std::uint64_t first = 0;
  for (const auto& name : file.read_texts_attribute("/", store_names::kShards)) {
    if (leads_out(name)) fail(path_, fmt::format("its shard '{}' lies elsewhere", name));
    const auto shard_path = path_.parent_path() / name;
    std::error_code ignored;
    if (!std::filesystem::exists(shard_path, ignored))
      throw Error(ExitCode::input, fmt::format("{}: shard {} is missing", path_.string(), shard_path.string()),
                  "the folder of shards must stay beside the store, under its name");
    const auto shard = h5::File::open(shard_path);
    auto part = shard.dataset(store_names::kImages);
    auto expected = images.shape();
    expected[0] = part.shape().empty() ? 0 : part.shape()[0];
    if (part.type() != images.type() || part.shape() != expected)
      fail(shard_path, fmt::format("/images is {} {}, expected {} {}", h5::name_of(part.type()),
                                   h5::to_text(part.shape()), h5::name_of(images.type()), h5::to_text(expected)));
    parts_.push_back({first, expected[0], std::move(part)});
    take_checksums(file, shard, expected[0]);
    first += expected[0];
  }
  if (first != count_) fail(path_, fmt::format("its shards hold {} images, expected {}", first, count_));
}

// Checksums without `content` are those of a store that has lost it.
void ImageStore::take_checksums(const h5::File& file, const h5::File& part, std::uint64_t rows) {
  const auto checksums = read_image_checksums(part, rows);
  if (checksums.has_value() != content_.has_value())
    throw Error(ExitCode::input,
                fmt::format("{} has {}, but {} has no {}", (content_ ? file : part).path().string(),
                            content_ ? "an attribute `content`" : "/checksums",
                            (content_ ? part : file).path().string(), content_ ? "/checksums" : "attribute `content`"),
                kChanged);
  if (checksums) checksums_.insert(checksums_.end(), checksums->begin(), checksums->end());
}

void ImageStore::check_content(const h5::File& file) {
  if (content_ && store_content(file, checksums_) != *content_)
    throw Error(ExitCode::input,
                fmt::format("{}: labels, attributes or checksums are not those that were written", path_.string()),
                kChanged);
}

void ImageStore::check_read(std::span<const std::uint64_t> indices, std::span<const std::uint8_t> images) const {
  if (!content_) return;
  for (std::size_t i = 0; i < indices.size(); ++i)
    if (image_checksum(images.subspan(i * image_bytes(), image_bytes())) != checksums_[indices[i]])
      throw Error(ExitCode::input,
                  fmt::format("{}: image {} is not what was written: its checksum differs", path_.string(), indices[i]),
                  kChanged);
}

void ImageStore::check_labels(const h5::File& file) {
  labels_ = file.dataset(store_names::kLabels);
  if (labels_.type() != h5::Type::i64 || labels_.shape() != h5::Shape{count_})
    fail(path_, fmt::format("/labels is {} {}, expected int64 [{}]", h5::name_of(labels_.type()),
                            h5::to_text(labels_.shape()), count_));
  const bool named = file.has_attribute("/", store_names::kClasses);
  if (named) classes_ = file.read_texts_attribute("/", store_names::kClasses);
  std::vector<std::int64_t> piece;
  std::int64_t low = 0, high = 0;
  for (std::uint64_t first = 0; first < count_; first += kLabelPiece) {
    piece.resize(std::min(kLabelPiece, count_ - first));
    labels_.read_rows(first, piece.size(), piece.data());
    const auto [least, most] = std::minmax_element(piece.begin(), piece.end());
    low = std::min(low, *least);
    high = std::max(high, *most);
  }
  const auto classes = static_cast<std::int64_t>(classes_.size());
  if (low < 0) fail(path_, fmt::format("/labels holds {}, expected 0 or more", low));
  if (named && high >= classes)
    fail(path_, fmt::format("/labels holds {}, expected below {}, the number of classes", high, classes));
  if (high > 1'000'000) fail(path_, fmt::format("/labels holds {}, expected numbers of classes", high));
  for (std::int64_t c = classes; c <= high; ++c) classes_.push_back(fmt::format("{}", c));
}

const ImageStore::Part& ImageStore::part_of(std::uint64_t index) const {
  if (index >= count_)
    throw Error(ExitCode::internal, fmt::format("{}: image {} asked for, it has {}", path_.string(), index, count_));
  const auto after = std::upper_bound(parts_.begin(), parts_.end(), index,
                                      [](std::uint64_t value, const Part& part) { return value < part.first; });
  return *std::prev(after);
}

void ImageStore::read(std::span<const std::uint64_t> indices, std::span<std::uint8_t> out) const {
  if (out.size() != indices.size() * image_bytes())
    throw Error(ExitCode::internal,
                fmt::format("{} bytes for {} images of {}", out.size(), indices.size(), image_bytes()));
  read_stored(indices, out);
  check_read(indices, out);
}

void ImageStore::check_images() const {
  constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 22;
  std::vector<std::uint64_t> indices(std::clamp<std::uint64_t>(kPieceBytes / image_bytes(), 1, count_));
  std::vector<std::uint8_t> images(indices.size() * image_bytes());
  for (std::uint64_t first = 0; first < count_; first += indices.size()) {
    indices.resize(std::min<std::uint64_t>(indices.size(), count_ - first));
    images.resize(indices.size() * image_bytes());
    std::iota(indices.begin(), indices.end(), first);
    read(indices, images);
  }
}

std::string ImageStore::identity() const {
  constexpr std::uint64_t kMostImages = 256;
  const auto words = fmt::format("{} {}x{}x{} {}", count_, shape_.height, shape_.width, shape_.channels, value_bytes());
  const auto all = labels();
  Checksum some;
  some.add(std::as_bytes(std::span(words.data(), words.size())));
  some.add(std::as_bytes(std::span(all)));
  std::vector<std::uint8_t> image(image_bytes());
  const auto looked_at = std::min(count_, kMostImages);
  for (std::uint64_t i = 0; i < looked_at; ++i) {
    const auto index = i * count_ / looked_at;
    read({&index, 1}, image);
    some.add(std::as_bytes(std::span(image)));
  }
  if (checksums_.empty()) return some.text();
  Checksum every;
  every.add(std::as_bytes(std::span(checksums_)));
  return some.text() + " " + every.text();
}

bool may_be_same_images(std::string_view one, std::string_view other) {
  const auto common = std::min(one.size(), other.size());  // words of one length, the second only of a guarded store
  return one.substr(0, common) == other.substr(0, common);
}

void ImageStore::read_stored(std::span<const std::uint64_t> indices, std::span<std::uint8_t> out) const {
  const h5::Hold hold;
  for (std::size_t i = 0; i < indices.size();) {
    const auto& part = part_of(indices[i]);
    std::size_t run = 1;
    while (i + run < indices.size() && indices[i + run] == indices[i] + run &&
           indices[i] + run < part.first + part.rows)
      ++run;
    part.images.read_stored_rows(indices[i] - part.first, run, out.data() + i * image_bytes());
    i += run;
  }
}

void ImageStore::read_labels(std::span<const std::uint64_t> indices, std::span<std::int64_t> out) const {
  const h5::Hold hold;
  for (std::size_t i = 0; i < indices.size(); ++i) labels_.read_rows(indices[i], 1, &out[i]);
}

}  // namespace langrun
