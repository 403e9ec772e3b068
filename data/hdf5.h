// A narrow, typed face of the HDF5 C library: files, datasets, attributes. Every call takes one process-wide lock,
// because HDF5 as distributions build it is not thread-safe (design invariant: never from two threads at once).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace langrun::h5 {

/// Element types that langrun stores.
enum class Type { u8, i32, i64, u64, f32, f64 };

template <typename T>
constexpr Type type_of();
template <>
constexpr Type type_of<std::uint8_t>() {
  return Type::u8;
}
template <>
constexpr Type type_of<std::int32_t>() {
  return Type::i32;
}
template <>
constexpr Type type_of<std::int64_t>() {
  return Type::i64;
}
template <>
constexpr Type type_of<std::uint64_t>() {
  return Type::u64;
}
template <>
constexpr Type type_of<float>() {
  return Type::f32;
}
template <>
constexpr Type type_of<double>() {
  return Type::f64;
}

/// Size of one element, bytes.
std::size_t bytes_of(Type type);
/// "float32" and the like, for messages.
const char* name_of(Type type);

/// Extents, outermost first. A scalar has none.
using Shape = std::vector<std::uint64_t>;
/// Number of elements of a shape (1 for a scalar).
std::uint64_t elements(const Shape& shape);
/// "[3, 32, 32]", for messages.
std::string to_text(const Shape& shape);

/// True where the file can be read and begins as HDF5 files do.
bool looks_like_hdf5(const std::filesystem::path& path);

/// An HDF5 identifier that closes itself.
class Handle {
 public:
  using Closer = int (*)(std::int64_t);
  Handle() = default;
  Handle(std::int64_t id, Closer closer) : id_(id), closer_(closer) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();
  std::int64_t id() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  void close();

 private:
  std::int64_t id_ = -1;
  Closer closer_ = nullptr;
};

/// A dataset of an open file. Keeps the file open as long as it lives.
class Dataset {
 public:
  const Shape& shape() const { return shape_; }
  Type type() const { return type_; }
  const std::string& name() const { return name_; }

  /// Reads rows [first, first + count) of the outermost dimension into `out`, converted to T. `out` holds
  /// count * elements(shape without its first extent). Throws Error(input) where the rows are damaged or absent.
  template <typename T>
  void read_rows(std::uint64_t first, std::uint64_t count, T* out) const {
    read_raw(first, count, type_of<T>(), out);
  }
  template <typename T>
  void write_rows(std::uint64_t first, std::uint64_t count, const T* values) {
    write_raw(first, count, type_of<T>(), values);
  }
  /// The same rows as bytes in memory of the dataset's own type, not converted.
  void read_stored_rows(std::uint64_t first, std::uint64_t count, void* out) const {
    read_raw(first, count, type_, out);
  }
  void write_stored_rows(std::uint64_t first, std::uint64_t count, const void* values) {
    write_raw(first, count, type_, values);
  }
  /// The whole dataset.
  template <typename T>
  std::vector<T> read() const {
    std::vector<T> values(elements(shape_));
    read_all(type_of<T>(), values.data());
    return values;
  }
  /// The whole dataset into memory of elements(shape()) values of `type`.
  void read_all(Type type, void* out) const;
  /// The whole dataset from memory of elements(shape()) values of `type`. Throws Error(storage) on a full disk.
  void write_all(Type type, const void* values);
  /// Where its values begin in the file, bytes; nothing where it has none, or they do not lie in one piece.
  std::optional<std::uint64_t> offset() const;
  /// Sets the outermost extent of a growing dataset.
  void resize_rows(std::uint64_t rows);

 private:
  friend class File;
  void read_raw(std::uint64_t first, std::uint64_t count, Type type, void* out) const;
  void write_raw(std::uint64_t first, std::uint64_t count, Type type, const void* values);

  std::shared_ptr<Handle> file_;
  Handle handle_;
  std::string name_;
  std::string path_;
  Shape shape_;
  Type type_ = Type::u8;
};

/// One source of a virtual dataset: rows of `dataset` in `file` (relative to the index file) laid end to end.
struct VirtualSource {
  std::string file;
  std::string dataset;
  std::uint64_t rows;
};

/// One value of an attribute.
using AttributeValue = std::variant<std::string, std::int64_t, double>;

/// An HDF5 file. Not thread-safe itself; different files may be used from different threads.
class File {
 public:
  /// Opens for reading; of a sealed file all bytes are checked before HDF5 sees any. Throws Error(input), naming the
  /// path, where it is missing, truncated, not HDF5, or not what was sealed.
  static File open(const std::filesystem::path& path);
  /// Opens a file of our own making to write more into it. Throws Error(storage) where that cannot be done.
  static File open_to_add(const std::filesystem::path& path);
  /// Creates a new file. Throws Error(storage) where it exists already or cannot be written.
  static File create(const std::filesystem::path& path);

  /// As `create`, laid out for values that are written past HDF5: of datasets made one after the other each lies behind
  /// the one before, at a multiple of 8 bytes.
  static File create_layout(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  bool has(const std::string& name) const;
  /// Names of the members of a group, in byte order.
  std::vector<std::string> children(const std::string& group) const;
  bool is_group(const std::string& name) const;
  void create_group(const std::string& name);

  /// Throws Error(input) where there is none, or it states an extent that the file cannot fill: sizes are checked
  /// before memory is taken.
  Dataset dataset(const std::string& name) const;
  /// New dataset of fixed shape, contiguous; missing groups on the way are made.
  Dataset create_dataset(const std::string& name, Type type, const Shape& shape);
  /// The same with its place in the file taken at once, and nothing written there.
  Dataset reserve_dataset(const std::string& name, Type type, const Shape& shape);
  /// New dataset whose outermost extent can grow, stored in chunks of `chunk_rows` rows.
  Dataset create_growing_dataset(const std::string& name, Type type, const Shape& row_shape, std::uint64_t chunk_rows);
  /// A dataset that is a view of other files' rows, end to end (HDF5 virtual dataset).
  void create_virtual_dataset(const std::string& name, Type type, const Shape& row_shape,
                              const std::vector<VirtualSource>& sources);
  template <typename T>
  void write(const std::string& name, const Shape& shape, const T* values) {
    create_dataset(name, type_of<T>(), shape).write_all(type_of<T>(), values);
  }

  /// Attributes of the object `name` ("/" is the file itself).
  std::vector<std::string> attributes(const std::string& object) const;
  bool has_attribute(const std::string& object, const std::string& name) const;
  void write_attribute(const std::string& object, const std::string& name, const std::string& value);
  void write_attribute(const std::string& object, const std::string& name, std::int64_t value);
  void write_attribute(const std::string& object, const std::string& name, double value);
  void write_attribute(const std::string& object, const std::string& name, const std::vector<std::string>& values);
  /// Whatever one value it holds; nothing where it holds several or another kind. Throws Error(input) where there is
  /// no such attribute.
  std::optional<AttributeValue> read_any_attribute(const std::string& object, const std::string& name) const;
  std::string read_text_attribute(const std::string& object, const std::string& name) const;
  std::int64_t read_int_attribute(const std::string& object, const std::string& name) const;
  double read_real_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> read_texts_attribute(const std::string& object, const std::string& name) const;

  /// Hands everything to the operating system and closes. Throws Error(storage) where that fails (full disk); without
  /// this call the destructor closes silently, so writers call it.
  void close();
  /// close(), and a seal (data/seal.h) for `open` to check: for files that are read whole anyway. No dataset of it may
  /// be alive.
  void seal();
  /// The part of it that is within the file: that a seal follows.
  void mark_sealed();

 private:
  void make_parents(const std::string& name);
  static File create_with(const std::filesystem::path& path, const Handle& access);
  Dataset create_with(const std::string& name, Type type, const Shape& shape, const Handle& creation);

  std::shared_ptr<Handle> file_;
  std::filesystem::path path_;
};

/// While it lives, this thread's calls come before those of all other threads that wait for the library: for the reader
/// that a training step waits for, against writers in the background. Two such threads share evenly with each other.
class GoesFirst {
 public:
  GoesFirst();
  ~GoesFirst();
  GoesFirst(const GoesFirst&) = delete;
  GoesFirst& operator=(const GoesFirst&) = delete;
};

/// While it lives, no other thread gets into the library: for many small calls, between which a writer would put in a
/// large one each.
class Hold {
 public:
  Hold();
  ~Hold();
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  std::unique_ptr<class Lock> lock_;
};

/// Version of the HDF5 library at run time.
std::string library_version();

}  // namespace langrun::h5
