#include "data/store_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "data/durable.h"
#include "data/store_guard.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 16;
constexpr std::uint64_t kBufferBytes = std::uint64_t{1} << 22;

/// True where a program holds the file open for writing: HDF5 locks what it writes.
bool is_being_written(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return taken;
}

/// Renames where nothing is at `to`, and flushes the folder.
void rename_new(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    sync_path(to.parent_path().empty() ? "." : to.parent_path());
    return;
  }
  // Some shared file systems know no such rename; there, looking first has to do.
  const bool unknown = errno == EINVAL || errno == ENOSYS;
  if (errno == EEXIST || (unknown && fs::exists(to)))
    throw Error(ExitCode::usage, fmt::format("{} has come into being meanwhile", to.string()),
                "nothing is written over");
  if (!unknown)
    throw Error(ExitCode::storage, fmt::format("cannot rename to {}: {}", to.string(), std::strerror(errno)));
  rename_durably(from, to);
}

}  // namespace

std::string StoreTarget::shard_name(int writer) { return fmt::format("shard-{:05}.h5", writer); }

fs::path StoreTarget::shard_path(int writer) const {
  return sharded() ? partial_folder() / shard_name(writer) : partial();
}

void StoreTarget::prepare() const {
  std::error_code failure;
  for (const auto& path : {out_, folder()})
    if (fs::exists(path, failure))
      throw Error(ExitCode::usage, fmt::format("{} exists already", path.string()),
                  "nothing is written over; remove it or choose another name");
  const auto parent = out_.has_parent_path() ? out_.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, failure))
    throw Error(ExitCode::storage,
                fmt::format("cannot write {}: there is no folder {}", out_.string(), parent.string()),
                "make the folder first");
  std::vector<fs::path> leftovers{partial()};
  for (const auto& entry : fs::directory_iterator(partial_folder(), failure)) leftovers.push_back(entry.path());
  for (const auto& path : leftovers)
    if (is_being_written(path))
      throw Error(ExitCode::usage, fmt::format("{} is being written by another program", path.string()),
                  "wait for it, or choose another name");
  discard();
  if (sharded()) make_folder(partial_folder());
}

std::vector<std::uint64_t> StoreTarget::checksums(const Contents& contents) const {
  std::vector<std::uint64_t> all;
  for (int w = 0; w < writers_; ++w) {
    const auto rows = contents.rows[static_cast<std::size_t>(w)];
    if (rows == 0) continue;
    const auto part = read_image_checksums(h5::File::open(shard_path(w)), rows);
    if (!part) throw Error(ExitCode::internal, fmt::format("{} has no checksums", shard_path(w).string()));
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

void StoreTarget::publish(const Contents& contents) const {
  if (sharded()) {
    auto index = h5::File::create(partial());
    std::vector<std::string> names;
    std::vector<h5::VirtualSource> sources;
    for (int w = 0; w < writers_; ++w) {
      const auto rows = contents.rows[static_cast<std::size_t>(w)];
      if (rows == 0) continue;
      names.push_back((folder().filename() / shard_name(w)).string());
      sources.push_back({names.back(), store_names::kImages, rows});
    }
    const auto& shape = contents.shape;
    index.create_virtual_dataset(store_names::kImages, stored_type(contents.pixels),
                                 {static_cast<std::uint64_t>(shape.height), static_cast<std::uint64_t>(shape.width),
                                  static_cast<std::uint64_t>(shape.channels)},
                                 sources);
    index.write_attribute("/", store_names::kShards, names);
    index.close();
  }
  const auto guard = checksums(contents);
  auto file = h5::File::open_to_add(partial());
  file.write(store_names::kLabels, {contents.labels.size()}, contents.labels.data());
  file.write_attribute("/", store_names::kClasses, contents.classes);
  write_record(file, contents.record);
  file.write_attribute("/", store_names::kContent, store_content(file, guard));
  file.close();
  sync_path(partial());
  // Shards first: a store that has its name is whole.
  if (sharded()) {
    sync_path(partial_folder());
    rename_new(partial_folder(), folder());
  }
  try {
    rename_new(partial(), out_);
  } catch (...) {
    std::error_code ignored;
    if (sharded()) fs::remove_all(folder(), ignored);
    throw;
  }
}

void StoreTarget::discard() const noexcept {
  std::error_code ignored;
  fs::remove(partial(), ignored);
  fs::remove_all(partial_folder(), ignored);
}

ShardWriter::ShardWriter(fs::path path, std::uint64_t rows, Pixels pixels)
    : path_(std::move(path)), rows_(rows), type_(pixels), present_(rows, false), checksums_(rows) {}

void ShardWriter::create(const ImageShape& shape) {
  shape_ = shape;
  image_bytes_ = static_cast<std::size_t>(shape.elements()) * h5::bytes_of(stored_type(type_));
  const auto bytes = static_cast<std::uint64_t>(image_bytes_);
  file_ = h5::File::create(path_);
  images_ =
      file_->create_growing_dataset(store_names::kImages, stored_type(type_),
                                    {static_cast<std::uint64_t>(shape.height), static_cast<std::uint64_t>(shape.width),
                                     static_cast<std::uint64_t>(shape.channels)},
                                    std::max<std::uint64_t>(1, kChunkBytes / bytes));
  images_->resize_rows(rows_);
  buffer_most_ = std::max<std::uint64_t>(1, kBufferBytes / bytes);
  buffer_.resize(buffer_most_ * bytes);
}

void ShardWriter::put(std::uint64_t row, const ImageShape& shape, std::span<const std::uint8_t> pixels) {
  if (!shape_) create(shape);
  if (shape != *shape_ || row >= rows_ || present_[row] || pixels.size() != image_bytes_)
    throw Error(ExitCode::internal, fmt::format("{}: row {} of {} does not fit", path_.string(), row, rows_));
  if (buffer_rows_ == buffer_most_ || (buffer_rows_ > 0 && row != buffer_first_ + buffer_rows_)) flush();
  if (buffer_rows_ == 0) buffer_first_ = row;
  std::memcpy(buffer_.data() + buffer_rows_ * pixels.size(), pixels.data(), pixels.size());
  ++buffer_rows_;
  present_[row] = true;
  checksums_[row] = image_checksum(pixels);
}

void ShardWriter::flush() {
  if (buffer_rows_ > 0) images_->write_stored_rows(buffer_first_, buffer_rows_, buffer_.data());
  buffer_rows_ = 0;
}

void ShardWriter::close_up() {
  std::uint64_t to = 0;
  for (std::uint64_t from = 0; from < rows_; ++from) {
    if (!present_[from]) continue;
    if (from != to) {
      images_->read_stored_rows(from, 1, buffer_.data());
      images_->write_stored_rows(to, 1, buffer_.data());
    }
    ++to;
  }
  if (to < rows_) images_->resize_rows(to);
}

std::vector<std::uint64_t> ShardWriter::finish() {
  std::vector<std::uint64_t> put_rows;
  for (std::uint64_t row = 0; row < rows_; ++row)
    if (present_[row]) put_rows.push_back(row);
  if (!file_) return put_rows;
  flush();
  close_up();
  // A dataset keeps its file open, so it goes first.
  images_.reset();
  std::vector<std::uint64_t> checksums;
  for (const auto row : put_rows) checksums.push_back(checksums_[row]);
  write_image_checksums(*file_, checksums);
  file_->close();
  file_.reset();
  sync_path(path_);
  return put_rows;
}

}  // namespace langrun
