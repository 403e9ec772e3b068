#include "data/hdf5.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/hdf5_library.h"
#include "data/seal.h"

namespace langrun::h5 {
namespace {

Type type_from(hid_t type, const std::string& where) {
  for (Type candidate : {Type::u8, Type::i32, Type::i64, Type::u64, Type::f32, Type::f64})
    if (H5Tequal(type, native(candidate)) > 0) return candidate;
  throw Error(ExitCode::input, fmt::format("{} has an element type that langrun does not read", where),
              "expected uint8, int32, int64, uint64, float32 or float64");
}

constexpr const char* kSealed = "sealed";
// What compression makes of equal values at most, and what a dataset may hold that was never written (zeros).
constexpr std::uint64_t kMostPacking = 1100, kMostUnwritten = std::uint64_t{64} << 20;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 56;

/// How files are made: object headers, and with them extents, types and attributes, carry checksums of HDF5's own
/// (releases since 1.8 read them), without which a bit that falls over there is not noticed.
Handle file_access() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), close_plist);
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  return access;
}

/// A creation list of this class without times, which would make two equal runs differ byte for byte.
Handle timeless(hid_t kind) {
  Handle creation(H5Pcreate(kind), close_plist);
  H5Pset_obj_track_times(creation.id(), false);
  return creation;
}

/// Refuses extents that the file cannot fill, before anybody takes memory for them, and values that stand elsewhere.
void check_extent(hid_t file, hid_t dataset, const Shape& shape, Type type, const std::string& where) {
  std::uint64_t bytes = 1;
  bool fits = true;
  // Extents are bounded one by one: an extent of 0 must not hide that the others do not fit.
  for (const auto extent : shape)
    fits = fits && !__builtin_mul_overflow(bytes, std::max<std::uint64_t>(extent, 1), &bytes) && bytes < kMostBytes;
  const Handle creation(H5Dget_create_plist(dataset), close_plist);
  if (H5Pget_external_count(creation.id()) > 0)
    throw Error(ExitCode::input, fmt::format("{} keeps its values in other files", where),
                "expected values within the file itself; copy it with h5repack");
  hsize_t size = 0;
  H5Fget_filesize(file, &size);
  const bool elsewhere = H5Pget_layout(creation.id()) == H5D_VIRTUAL, packed = H5Pget_nfilters(creation.id()) > 0;
  const auto most = size * (packed ? kMostPacking : 1) + kMostUnwritten;
  if (!fits || (!elsewhere && bytes * bytes_of(type) > most))
    throw Error(
        ExitCode::input,
        fmt::format("{} states an extent of {}, which a file of {} bytes cannot hold", where, to_text(shape), size),
        "the file is damaged; make it again");
}

}  // namespace

void Dataset::read_raw(std::uint64_t first, std::uint64_t count, Type type, void* out) const {
  Lock lock;
  // A file that is missing there would be read as zeros, and any extent can be stated. Our own index of shards is such a
  // dataset; what it leads to is read from the shards themselves.
  const Handle creation(H5Dget_create_plist(handle_.id()), close_plist);
  if (H5Pget_layout(creation.id()) == H5D_VIRTUAL)
    throw Error(ExitCode::input, fmt::format("{}{} keeps its values in other files", path_, name_),
                "expected values within the file itself; copy it with h5repack");
  if (shape_.empty() || count > shape_[0] || first > shape_[0] - count)
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

std::optional<std::uint64_t> Dataset::offset() const {
  Lock lock;
  const auto offset = H5Dget_offset(handle_.id());
  if (offset == HADDR_UNDEF) return std::nullopt;
  return offset;
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
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw Error(ExitCode::input, fmt::format("no file {}", path.string()), "check the path");
  // A pipe would be waited for without end.
  if (!std::filesystem::is_regular_file(path, ignored))
    throw Error(ExitCode::input, fmt::format("{} is not a file", path.string()), "check the path");
  // Without HDF5's lock: a large file takes its time.
  const bool sealed = check_seal(path);
  Lock lock;
  File file;
  file.path_ = path;
  // Locking by the file system fails on many shared file systems, and a reader has nothing to protect here.
  Handle access(H5Pcreate(H5P_FILE_ACCESS), close_plist);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access.id(), false, true);
#endif
  file.file_ = std::make_shared<Handle>(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), close_file);
  if (!*file.file_)
    fail(ExitCode::input, fmt::format("{} is not a readable HDF5 file", path.string()),
         "it may be truncated, or of another kind; make it again");
  if (!sealed && file.has_attribute("/", kSealed))
    throw Error(ExitCode::input, fmt::format("{} was sealed when it was written, and its seal is gone", path.string()),
                "it is cut off or was changed; make it again, or remove its attribute `sealed` to take it as it is");
  return file;
}

File File::open_to_add(const std::filesystem::path& path) {
  Lock lock;
  File file;
  file.path_ = path;
  file.file_ = std::make_shared<Handle>(H5Fopen(path.c_str(), H5F_ACC_RDWR, file_access().id()), close_file);
  if (!*file.file_) fail(ExitCode::storage, fmt::format("cannot write more to {}", path.string()));
  return file;
}

File File::create(const std::filesystem::path& path) {
  Lock lock;
  return create_with(path, file_access());
}

File File::create_layout(const std::filesystem::path& path) {
  Lock lock;
  const Handle access = file_access();
  H5Pset_alignment(access.id(), 1, 8);
  // Small datasets would otherwise be gathered in a block of their own, before larger ones made earlier.
  H5Pset_small_data_block_size(access.id(), 0);
  return create_with(path, access);
}

File File::create_with(const std::filesystem::path& path, const Handle& access) {
  File file;
  file.path_ = path;
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored))
    throw Error(ExitCode::storage, fmt::format("{} exists already", path.string()),
                "nothing is written over; remove it or choose another name");
  file.file_ = std::make_shared<Handle>(
      H5Fcreate(path.c_str(), H5F_ACC_EXCL, timeless(H5P_FILE_CREATE).id(), access.id()), close_file);
  if (!*file.file_)
    fail(ExitCode::storage, fmt::format("cannot create {}", path.string()),
         "does the folder exist, and is it writable?");
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

void File::make_parents(const std::string& name) {
  for (auto end = name.find('/', 1); end != std::string::npos; end = name.find('/', end + 1))
    if (const auto parent = name.substr(0, end); !has(parent)) create_group(parent);
}

void File::create_group(const std::string& name) {
  Lock lock;
  make_parents(name);
  Handle group(H5Gcreate2(file_->id(), name.c_str(), H5P_DEFAULT, timeless(H5P_GROUP_CREATE).id(), H5P_DEFAULT),
               close_group);
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
  const auto where = fmt::format("{}: {}", path_.string(), name);
  dataset.type_ = type_from(type.id(), where);
  check_extent(file_->id(), dataset.handle_.id(), dataset.shape_, dataset.type_, where);
  return dataset;
}

Dataset File::create_dataset(const std::string& name, Type type, const Shape& shape) {
  Lock lock;
  return create_with(name, type, shape, timeless(H5P_DATASET_CREATE));
}

Dataset File::reserve_dataset(const std::string& name, Type type, const Shape& shape) {
  Lock lock;
  const Handle creation = timeless(H5P_DATASET_CREATE);
  H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER);
  return create_with(name, type, shape, creation);
}

Dataset File::create_with(const std::string& name, Type type, const Shape& shape, const Handle& creation) {
  Dataset dataset;
  dataset.file_ = file_;
  dataset.name_ = name;
  dataset.path_ = path_.string();
  dataset.shape_ = shape;
  dataset.type_ = type;
  make_parents(name);
  Handle space = space_of(shape);
  dataset.handle_ =
      Handle(H5Dcreate2(file_->id(), name.c_str(), native(type), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
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
  make_parents(name);
  Handle space = space_of(dataset.shape_, most);
  const Handle creation = timeless(H5P_DATASET_CREATE);
  std::vector<hsize_t> chunk_dims(chunk.begin(), chunk.end());
  H5Pset_chunk(creation.id(), static_cast<int>(chunk_dims.size()), chunk_dims.data());
  dataset.handle_ =
      Handle(H5Dcreate2(file_->id(), name.c_str(), native(type), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
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
  const Handle creation = timeless(H5P_DATASET_CREATE);
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
  make_parents(name);
  Handle made(H5Dcreate2(file_->id(), name.c_str(), native(type), space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT),
              close_dataset);
  if (!made) fail(ExitCode::storage, fmt::format("{}: cannot make {}", path_.string(), name));
}

void File::close() {
  Lock lock;
  const auto name = path_.string();
  if (H5Fflush(file_->id(), H5F_SCOPE_LOCAL) < 0)
    fail(ExitCode::storage, fmt::format("cannot write {}", name), "is the disk full?");
  file_->close();
}

void File::mark_sealed() { write_attribute("/", kSealed, std::int64_t{1}); }

void File::seal() {
  mark_sealed();
  close();
  append_seal(path_);
}

}  // namespace langrun::h5
