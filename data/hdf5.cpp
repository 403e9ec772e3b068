#include "data/hdf5.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hdf5.h>

#include <algorithm>
#include <mutex>
#include <string_view>

#include "core/error.h"

namespace langrun::h5 {
namespace {

// HDF5 keeps process-wide state, so its lock is process-wide too. Recursive: handles close inside locked calls.
std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

class Lock {
 public:
  Lock() : lock_(library_mutex()) {
    // Files are closed by their handles. What HDF5 could not write on a full disk it would try again at exit, and crash.
    static const bool exits_quietly = H5dont_atexit() >= 0;
    (void)exits_quietly;
    // HDF5 prints its error stack to stderr by default, as set for each thread; errors reach the user through Error instead.
    thread_local const bool silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
    (void)silenced;
  }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

herr_t first_description(unsigned, const H5E_error2_t* error, void* out) {
  auto* text = static_cast<std::string*>(out);
  if (text->empty() && error->desc != nullptr) *text = error->desc;
  return 0;
}

/// The innermost reason that HDF5 gives for its last failure, on one line; of a failed read or write the system's own.
std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_description, &text);
  constexpr std::string_view kSystem = "error message = '";
  if (const auto at = text.find(kSystem); at != std::string::npos) {
    text.erase(0, at + kSystem.size());
    text.erase(std::min(text.find('\''), text.size()));
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? "no reason given" : text;
}

[[noreturn]] void fail(ExitCode code, const std::string& what, const std::string& hint = {}) {
  throw Error(code, fmt::format("{} (HDF5: {})", what, reason()), hint);
}

hid_t native(Type type) {
  switch (type) {
    case Type::u8: return H5T_NATIVE_UINT8;
    case Type::i32: return H5T_NATIVE_INT32;
    case Type::i64: return H5T_NATIVE_INT64;
    case Type::u64: return H5T_NATIVE_UINT64;
    case Type::f32: return H5T_NATIVE_FLOAT;
    case Type::f64: return H5T_NATIVE_DOUBLE;
  }
  return H5T_NATIVE_UINT8;
}

Type type_from(hid_t type, const std::string& where) {
  for (Type candidate : {Type::u8, Type::i32, Type::i64, Type::u64, Type::f32, Type::f64})
    if (H5Tequal(type, native(candidate)) > 0) return candidate;
  throw Error(ExitCode::input, fmt::format("{} has an element type that langrun does not read", where),
              "expected uint8, int32, int64, uint64, float32 or float64");
}

int close_file(std::int64_t id) { return H5Fclose(id); }
int close_dataset(std::int64_t id) { return H5Dclose(id); }
int close_space(std::int64_t id) { return H5Sclose(id); }
int close_type(std::int64_t id) { return H5Tclose(id); }
int close_group(std::int64_t id) { return H5Gclose(id); }
int close_attribute(std::int64_t id) { return H5Aclose(id); }
int close_plist(std::int64_t id) { return H5Pclose(id); }
int close_object(std::int64_t id) { return H5Oclose(id); }

Handle link_creation() {
  Handle plist(H5Pcreate(H5P_LINK_CREATE), close_plist);
  H5Pset_create_intermediate_group(plist.id(), 1);
  return plist;
}

Handle space_of(const Shape& shape, const Shape& maximum = {}) {
  if (shape.empty()) return Handle(H5Screate(H5S_SCALAR), close_space);
  std::vector<hsize_t> dims(shape.begin(), shape.end());
  std::vector<hsize_t> most(maximum.begin(), maximum.end());
  return Handle(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), most.empty() ? nullptr : most.data()),
                close_space);
}

}  // namespace

std::size_t bytes_of(Type type) {
  switch (type) {
    case Type::u8: return 1;
    case Type::i32:
    case Type::f32: return 4;
    default: return 8;
  }
}

const char* name_of(Type type) {
  switch (type) {
    case Type::u8: return "uint8";
    case Type::i32: return "int32";
    case Type::i64: return "int64";
    case Type::u64: return "uint64";
    case Type::f32: return "float32";
    case Type::f64: return "float64";
  }
  return "?";
}

std::uint64_t elements(const Shape& shape) {
  std::uint64_t n = 1;
  for (auto extent : shape) n *= extent;
  return n;
}

std::string to_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Handle::Handle(Handle&& other) noexcept : id_(other.id_), closer_(other.closer_) { other.id_ = -1; }

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    close();
    id_ = other.id_;
    closer_ = other.closer_;
    other.id_ = -1;
  }
  return *this;
}

Handle::~Handle() { close(); }

void Handle::close() {
  if (id_ < 0) return;
  Lock lock;
  closer_(id_);
  id_ = -1;
}

void Dataset::read_raw(std::uint64_t first, std::uint64_t count, Type type, void* out) const {
  Lock lock;
  if (shape_.empty() || first + count > shape_[0])
    throw Error(ExitCode::input, fmt::format("{}{}: rows {} to {} asked for, shape is {}", path_, name_, first,
                                             first + count, to_text(shape_)));
  if (count == 0) return;
  Shape part = shape_;
  part[0] = count;
  std::vector<hsize_t> start(shape_.size(), 0), extent(part.begin(), part.end());
  start[0] = first;
  Handle disk(H5Dget_space(handle_.id()), close_space);
  H5Sselect_hyperslab(disk.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr);
  Handle memory = space_of(part);
  if (H5Dread(handle_.id(), native(type), memory.id(), disk.id(), H5P_DEFAULT, out) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot read rows {} to {} of {}", path_, first, first + count, name_),
         "the file is damaged or incomplete; make it again");
}

void Dataset::write_raw(std::uint64_t first, std::uint64_t count, Type type, const void* values) {
  Lock lock;
  if (count == 0) return;
  Shape part = shape_;
  part[0] = count;
  std::vector<hsize_t> start(shape_.size(), 0), extent(part.begin(), part.end());
  start[0] = first;
  Handle disk(H5Dget_space(handle_.id()), close_space);
  H5Sselect_hyperslab(disk.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr);
  Handle memory = space_of(part);
  if (H5Dwrite(handle_.id(), native(type), memory.id(), disk.id(), H5P_DEFAULT, values) < 0)
    fail(ExitCode::storage, fmt::format("{}: cannot write {}", path_, name_), "is the disk full?");
}

void Dataset::read_all(Type type, void* out) const {
  Lock lock;
  if (elements(shape_) == 0) return;
  if (H5Dread(handle_.id(), native(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot read {}", path_, name_),
         "the file is damaged or incomplete; make it again");
}

void Dataset::write_all(Type type, const void* values) {
  Lock lock;
  if (elements(shape_) == 0) return;
  if (H5Dwrite(handle_.id(), native(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
    fail(ExitCode::storage, fmt::format("{}: cannot write {}", path_, name_), "is the disk full?");
}

void Dataset::resize_rows(std::uint64_t rows) {
  Lock lock;
  std::vector<hsize_t> extent(shape_.begin(), shape_.end());
  extent[0] = rows;
  if (H5Dset_extent(handle_.id(), extent.data()) < 0)
    fail(ExitCode::storage, fmt::format("{}: cannot grow {} to {} rows", path_, name_, rows));
  shape_[0] = rows;
}

File File::open(const std::filesystem::path& path) {
  Lock lock;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw Error(ExitCode::input, fmt::format("no file {}", path.string()), "check the path");
  File file;
  file.path_ = path;
  // Locking by the file system fails on many shared file systems, and a reader has nothing to protect here.
  Handle access(H5Pcreate(H5P_FILE_ACCESS), close_plist);
  file.file_ = std::make_shared<Handle>(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), close_file);
  if (!*file.file_)
    fail(ExitCode::input, fmt::format("{} is not a readable HDF5 file", path.string()),
         "it may be truncated, or of another kind; make it again");
  return file;
}

File File::open_to_add(const std::filesystem::path& path) {
  Lock lock;
  File file;
  file.path_ = path;
  file.file_ = std::make_shared<Handle>(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), close_file);
  if (!*file.file_) fail(ExitCode::storage, fmt::format("cannot write more to {}", path.string()));
  return file;
}

File File::create(const std::filesystem::path& path) {
  Lock lock;
  File file;
  file.path_ = path;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored))
    throw Error(ExitCode::storage, fmt::format("{} exists already", path.string()), "nothing is written over; remove it or choose another name");
  file.file_ = std::make_shared<Handle>(H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT), close_file);
  if (!*file.file_)
    fail(ExitCode::storage, fmt::format("cannot create {}", path.string()), "does the folder exist, and is it writable?");
  return file;
}

bool File::has(const std::string& name) const {
  Lock lock;
  if (name == "/") return true;
  // H5Lexists wants every group on the way to exist.
  for (std::size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string part = name.substr(0, end);
    if (H5Lexists(file_->id(), part.c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) return true;
  }
}

std::vector<std::string> File::children(const std::string& group) const {
  Lock lock;
  std::vector<std::string> names;
  auto visit = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  Handle opened(H5Gopen2(file_->id(), group.c_str(), H5P_DEFAULT), close_group);
  if (!opened || H5Literate(opened.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, visit, &names) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot list {}", path_.string(), group));
  std::sort(names.begin(), names.end());
  return names;
}

bool File::is_group(const std::string& name) const {
  Lock lock;
  Handle object(H5Oopen(file_->id(), name.c_str(), H5P_DEFAULT), close_object);
  return object && H5Iget_type(object.id()) == H5I_GROUP;
}

void File::create_group(const std::string& name) {
  Lock lock;
  Handle links = link_creation();
  Handle group(H5Gcreate2(file_->id(), name.c_str(), links.id(), H5P_DEFAULT, H5P_DEFAULT), close_group);
  if (!group) fail(ExitCode::storage, fmt::format("{}: cannot make group {}", path_.string(), name));
}

Dataset File::dataset(const std::string& name) const {
  Lock lock;
  Dataset dataset;
  dataset.file_ = file_;
  dataset.name_ = name;
  dataset.path_ = path_.string();
  dataset.handle_ = Handle(H5Dopen2(file_->id(), name.c_str(), H5P_DEFAULT), close_dataset);
  if (!dataset.handle_) fail(ExitCode::input, fmt::format("{} has no dataset {}", path_.string(), name));
  Handle space(H5Dget_space(dataset.handle_.id()), close_space);
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank < 0) fail(ExitCode::input, fmt::format("{}: {} has no extent", path_.string(), name));
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr);
  dataset.shape_.assign(dims.begin(), dims.end());
  Handle type(H5Dget_type(dataset.handle_.id()), close_type);
  dataset.type_ = type_from(type.id(), fmt::format("{}: {}", path_.string(), name));
  return dataset;
}

Dataset File::create_dataset(const std::string& name, Type type, const Shape& shape) {
  Lock lock;
  Dataset dataset;
  dataset.file_ = file_;
  dataset.name_ = name;
  dataset.path_ = path_.string();
  dataset.shape_ = shape;
  dataset.type_ = type;
  Handle links = link_creation();
  Handle space = space_of(shape);
  Handle creation(H5Pcreate(H5P_DATASET_CREATE), close_plist);
  // Object times would make two equal runs differ byte for byte.
  H5Pset_obj_track_times(creation.id(), false);
  dataset.handle_ = Handle(
      H5Dcreate2(file_->id(), name.c_str(), native(type), space.id(), links.id(), creation.id(), H5P_DEFAULT),
      close_dataset);
  if (!dataset.handle_) fail(ExitCode::storage, fmt::format("{}: cannot make {}", path_.string(), name));
  return dataset;
}

Dataset File::create_growing_dataset(const std::string& name, Type type, const Shape& row_shape,
                                     std::uint64_t chunk_rows) {
  Lock lock;
  Dataset dataset;
  dataset.file_ = file_;
  dataset.name_ = name;
  dataset.path_ = path_.string();
  dataset.type_ = type;
  dataset.shape_ = row_shape;
  dataset.shape_.insert(dataset.shape_.begin(), 0);
  Shape most = dataset.shape_, chunk = dataset.shape_;
  most[0] = H5S_UNLIMITED;
  chunk[0] = chunk_rows;
  Handle links = link_creation();
  Handle space = space_of(dataset.shape_, most);
  Handle creation(H5Pcreate(H5P_DATASET_CREATE), close_plist);
  H5Pset_obj_track_times(creation.id(), false);
  std::vector<hsize_t> chunk_dims(chunk.begin(), chunk.end());
  H5Pset_chunk(creation.id(), static_cast<int>(chunk_dims.size()), chunk_dims.data());
  dataset.handle_ = Handle(
      H5Dcreate2(file_->id(), name.c_str(), native(type), space.id(), links.id(), creation.id(), H5P_DEFAULT),
      close_dataset);
  if (!dataset.handle_) fail(ExitCode::storage, fmt::format("{}: cannot make {}", path_.string(), name));
  return dataset;
}

void File::create_virtual_dataset(const std::string& name, Type type, const Shape& row_shape,
                                  const std::vector<VirtualSource>& sources) {
  Lock lock;
  Shape whole = row_shape;
  whole.insert(whole.begin(), 0);
  for (const auto& source : sources) whole[0] += source.rows;
  Handle space = space_of(whole);
  Handle creation(H5Pcreate(H5P_DATASET_CREATE), close_plist);
  std::uint64_t first = 0;
  for (const auto& source : sources) {
    if (source.rows == 0) continue;
    Shape part = whole;
    part[0] = source.rows;
    std::vector<hsize_t> start(whole.size(), 0), extent(part.begin(), part.end());
    start[0] = first;
    H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr);
    Handle source_space = space_of(part);
    if (H5Pset_virtual(creation.id(), space.id(), source.file.c_str(), source.dataset.c_str(), source_space.id()) < 0)
      fail(ExitCode::storage, fmt::format("{}: cannot map {} into {}", path_.string(), source.file, name));
    first += source.rows;
  }
  H5Sselect_all(space.id());
  Handle links = link_creation();
  Handle made(H5Dcreate2(file_->id(), name.c_str(), native(type), space.id(), links.id(), creation.id(), H5P_DEFAULT),
              close_dataset);
  if (!made) fail(ExitCode::storage, fmt::format("{}: cannot make {}", path_.string(), name));
}

std::vector<std::string> File::attributes(const std::string& object) const {
  Lock lock;
  std::vector<std::string> names;
  auto visit = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t next = 0;
  if (H5Aiterate_by_name(file_->id(), object.c_str(), H5_INDEX_NAME, H5_ITER_INC, &next, visit, &names, H5P_DEFAULT) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot list the attributes of {}", path_.string(), object));
  std::sort(names.begin(), names.end());
  return names;
}

bool File::has_attribute(const std::string& object, const std::string& name) const {
  Lock lock;
  return H5Aexists_by_name(file_->id(), object.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

namespace {

Handle make_attribute(hid_t file, const std::string& object, const std::string& name, hid_t type, hid_t space,
                      const std::string& path) {
  Handle attribute(
      H5Acreate_by_name(file, object.c_str(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      close_attribute);
  if (!attribute) fail(ExitCode::storage, fmt::format("{}: cannot make attribute {} of {}", path, name, object));
  return attribute;
}

Handle open_attribute(hid_t file, const std::string& object, const std::string& name, const std::string& path) {
  Handle attribute(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), close_attribute);
  if (!attribute) fail(ExitCode::input, fmt::format("{}: {} has no attribute {}", path, object, name));
  return attribute;
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), close_type);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

}  // namespace

void File::write_attribute(const std::string& object, const std::string& name, const std::string& value) {
  Lock lock;
  Handle type = text_type(), space(H5Screate(H5S_SCALAR), close_space);
  Handle attribute = make_attribute(file_->id(), object, name, type.id(), space.id(), path_.string());
  const char* text = value.c_str();
  if (H5Awrite(attribute.id(), type.id(), &text) < 0) fail(ExitCode::storage, path_.string() + ": cannot write " + name);
}

void File::write_attribute(const std::string& object, const std::string& name, std::int64_t value) {
  Lock lock;
  Handle space(H5Screate(H5S_SCALAR), close_space);
  Handle attribute = make_attribute(file_->id(), object, name, H5T_NATIVE_INT64, space.id(), path_.string());
  if (H5Awrite(attribute.id(), H5T_NATIVE_INT64, &value) < 0)
    fail(ExitCode::storage, path_.string() + ": cannot write " + name);
}

void File::write_attribute(const std::string& object, const std::string& name, double value) {
  Lock lock;
  Handle space(H5Screate(H5S_SCALAR), close_space);
  Handle attribute = make_attribute(file_->id(), object, name, H5T_NATIVE_DOUBLE, space.id(), path_.string());
  if (H5Awrite(attribute.id(), H5T_NATIVE_DOUBLE, &value) < 0)
    fail(ExitCode::storage, path_.string() + ": cannot write " + name);
}

void File::write_attribute(const std::string& object, const std::string& name,
                           const std::vector<std::string>& values) {
  Lock lock;
  Handle type = text_type(), space = space_of({values.size()});
  Handle attribute = make_attribute(file_->id(), object, name, type.id(), space.id(), path_.string());
  std::vector<const char*> texts;
  for (const auto& value : values) texts.push_back(value.c_str());
  if (!texts.empty() && H5Awrite(attribute.id(), type.id(), texts.data()) < 0)
    fail(ExitCode::storage, path_.string() + ": cannot write " + name);
}

std::string File::read_text_attribute(const std::string& object, const std::string& name) const {
  const auto texts = read_texts_attribute(object, name);
  if (texts.size() != 1) throw Error(ExitCode::input, fmt::format("{}: {} is not one text", path_.string(), name));
  return texts[0];
}

std::int64_t File::read_int_attribute(const std::string& object, const std::string& name) const {
  Lock lock;
  Handle attribute = open_attribute(file_->id(), object, name, path_.string());
  std::int64_t value = 0;
  if (H5Aread(attribute.id(), H5T_NATIVE_INT64, &value) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot read attribute {}", path_.string(), name));
  return value;
}

double File::read_real_attribute(const std::string& object, const std::string& name) const {
  Lock lock;
  Handle attribute = open_attribute(file_->id(), object, name, path_.string());
  double value = 0;
  if (H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, &value) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot read attribute {}", path_.string(), name));
  return value;
}

std::vector<std::string> File::read_texts_attribute(const std::string& object, const std::string& name) const {
  Lock lock;
  Handle attribute = open_attribute(file_->id(), object, name, path_.string());
  Handle stored(H5Aget_type(attribute.id()), close_type);
  Handle space(H5Aget_space(attribute.id()), close_space);
  const auto count = H5Sget_simple_extent_npoints(space.id());
  if (H5Tget_class(stored.id()) != H5T_STRING || count < 0)
    throw Error(ExitCode::input, fmt::format("{}: attribute {} is not text", path_.string(), name));
  std::vector<std::string> values;
  if (count == 0) return values;
  if (H5Tis_variable_str(stored.id()) > 0) {
    Handle type = text_type();
    H5Tset_cset(type.id(), H5Tget_cset(stored.id()));
    std::vector<char*> texts(static_cast<std::size_t>(count), nullptr);
    if (H5Aread(attribute.id(), type.id(), texts.data()) < 0)
      fail(ExitCode::input, fmt::format("{}: cannot read attribute {}", path_.string(), name));
    for (char* text : texts) values.emplace_back(text == nullptr ? "" : text);
    H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, texts.data());
    return values;
  }
  const std::size_t width = H5Tget_size(stored.id());
  std::vector<char> raw(width * static_cast<std::size_t>(count));
  if (H5Aread(attribute.id(), stored.id(), raw.data()) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot read attribute {}", path_.string(), name));
  for (std::int64_t i = 0; i < count; ++i) {
    const char* text = raw.data() + static_cast<std::size_t>(i) * width;
    values.emplace_back(text, std::find(text, text + width, '\0'));
  }
  return values;
}

void File::close() {
  Lock lock;
  const auto name = path_.string();
  if (H5Fflush(file_->id(), H5F_SCOPE_LOCAL) < 0)
    fail(ExitCode::storage, fmt::format("cannot write {}", name), "is the disk full?");
  file_->close();
}

std::string library_version() {
  Lock lock;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace langrun::h5
