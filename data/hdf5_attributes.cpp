// Attributes: named values of files, groups and datasets.
#include <fmt/format.h>

#include <algorithm>

#include "data/hdf5.h"
#include "data/hdf5_library.h"

namespace langrun::h5 {
namespace {

// Names of classes of the largest sets take a megabyte; these bound what a damaged file can ask for.
constexpr std::uint64_t kMostTexts = std::uint64_t{1} << 22, kMostTextBytes = std::uint64_t{1} << 26;

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

/// Opens an attribute of one value: HDF5 would write all that it holds to where one has room.
Handle open_single(hid_t file, const std::string& object, const std::string& name, const std::string& path) {
  Handle attribute = open_attribute(file, object, name, path);
  const Handle space(H5Aget_space(attribute.id()), close_space);
  if (H5Sget_simple_extent_npoints(space.id()) != 1)
    throw Error(ExitCode::input, fmt::format("{}: attribute {} of {} is not one number", path, name, object));
  return attribute;
}

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), close_type);
  H5Tset_size(type.id(), H5T_VARIABLE);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

}  // namespace

std::vector<std::string> File::attributes(const std::string& object) const {
  Lock lock;
  std::vector<std::string> names;
  auto visit = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t next = 0;
  if (H5Aiterate_by_name(file_->id(), object.c_str(), H5_INDEX_NAME, H5_ITER_INC, &next, visit, &names, H5P_DEFAULT) <
      0)
    fail(ExitCode::input, fmt::format("{}: cannot list the attributes of {}", path_.string(), object));
  std::sort(names.begin(), names.end());
  return names;
}

bool File::has_attribute(const std::string& object, const std::string& name) const {
  Lock lock;
  const auto there = H5Aexists_by_name(file_->id(), object.c_str(), name.c_str(), H5P_DEFAULT);
  // What cannot be looked up is not what is not there.
  if (there < 0)
    fail(ExitCode::input, fmt::format("{}: cannot look for attribute {} of {}", path_.string(), name, object));
  return there > 0;
}

void File::write_attribute(const std::string& object, const std::string& name, const std::string& value) {
  Lock lock;
  Handle type = text_type(), space(H5Screate(H5S_SCALAR), close_space);
  Handle attribute = make_attribute(file_->id(), object, name, type.id(), space.id(), path_.string());
  const char* text = value.c_str();
  if (H5Awrite(attribute.id(), type.id(), &text) < 0)
    fail(ExitCode::storage, path_.string() + ": cannot write " + name);
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

void File::write_attribute(const std::string& object, const std::string& name, const std::vector<std::string>& values) {
  Lock lock;
  Handle type = text_type(), space = space_of({values.size()});
  Handle attribute = make_attribute(file_->id(), object, name, type.id(), space.id(), path_.string());
  std::vector<const char*> texts;
  for (const auto& value : values) texts.push_back(value.c_str());
  if (!texts.empty() && H5Awrite(attribute.id(), type.id(), texts.data()) < 0)
    fail(ExitCode::storage, path_.string() + ": cannot write " + name);
}

std::optional<AttributeValue> File::read_any_attribute(const std::string& object, const std::string& name) const {
  H5T_class_t kind = H5T_NO_CLASS;
  {
    Lock lock;
    const Handle attribute = open_attribute(file_->id(), object, name, path_.string());
    const Handle stored(H5Aget_type(attribute.id()), close_type), space(H5Aget_space(attribute.id()), close_space);
    if (H5Sget_simple_extent_npoints(space.id()) == 1) kind = H5Tget_class(stored.id());
  }
  if (kind == H5T_STRING) return read_text_attribute(object, name);
  if (kind == H5T_INTEGER) return read_int_attribute(object, name);
  if (kind == H5T_FLOAT) return read_real_attribute(object, name);
  return std::nullopt;
}

std::string File::read_text_attribute(const std::string& object, const std::string& name) const {
  const auto texts = read_texts_attribute(object, name);
  if (texts.size() != 1) throw Error(ExitCode::input, fmt::format("{}: {} is not one text", path_.string(), name));
  return texts[0];
}

std::int64_t File::read_int_attribute(const std::string& object, const std::string& name) const {
  Lock lock;
  const Handle attribute = open_single(file_->id(), object, name, path_.string());
  std::int64_t value = 0;
  if (H5Aread(attribute.id(), H5T_NATIVE_INT64, &value) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot read attribute {}", path_.string(), name));
  return value;
}

double File::read_real_attribute(const std::string& object, const std::string& name) const {
  Lock lock;
  const Handle attribute = open_single(file_->id(), object, name, path_.string());
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
  const std::uint64_t width = H5Tget_size(stored.id()), texts_wanted = static_cast<std::uint64_t>(count);
  if (width == 0 || texts_wanted > kMostTexts || width > kMostTextBytes / texts_wanted)
    throw Error(ExitCode::input,
                fmt::format("{}: attribute {} states {} texts of {} bytes, expected at most {} in all", path_.string(),
                            name, count, width, kMostTextBytes),
                "the file is damaged; make it again");
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
  std::vector<char> raw(width * static_cast<std::size_t>(count));
  if (H5Aread(attribute.id(), stored.id(), raw.data()) < 0)
    fail(ExitCode::input, fmt::format("{}: cannot read attribute {}", path_.string(), name));
  for (std::int64_t i = 0; i < count; ++i) {
    const char* text = raw.data() + static_cast<std::size_t>(i) * width;
    values.emplace_back(text, std::find(text, text + width, '\0'));
  }
  return values;
}

}  // namespace langrun::h5
