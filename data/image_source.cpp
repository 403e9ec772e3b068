#include "data/image_source.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "data/archive_walk.h"
#include "data/cifar_binary.h"
#include "data/idx_files.h"
#include "data/mapped_file.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;
using Encoding = SourceEntry::Encoding;
using Split = SourceSettings::Split;

constexpr std::size_t kHeadBytes = 512;
constexpr int kDeepestFolder = 32;

std::string_view file_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::vector<std::uint8_t> head_of(const fs::path& file) {
  const PositionedFile bytes(file);
  std::vector<std::uint8_t> head(std::min<std::uint64_t>(bytes.size(), kHeadBytes));
  bytes.read(0, head);
  return head;
}

/// Class names that stand beside CIFAR's binary files.
bool is_cifar_names(std::string_view name) { return name == "batches.meta.txt" || name == "fine_label_names.txt"; }

/// Which part an IDX file is, by its name: MNIST's are train-... and t10k-...
Split split_of_idx(std::string_view file) {
  const auto name = file_name(file);
  if (name.find("train") != std::string_view::npos) return Split::train;
  const bool test = name.find("test") != std::string_view::npos || name.find("t10k") != std::string_view::npos;
  return test ? Split::test : Split::all;
}

/// Which part an image belongs to, by its first folder or its CIFAR file's name.
Split split_of(const SourceEntry& entry, std::string_view cifar_file) {
  if (!cifar_file.empty()) {
    const auto name = file_name(cifar_file);
    if (name.starts_with("test")) return Split::test;
    return name.starts_with("data_batch") || name.starts_with("train") ? Split::train : Split::all;
  }
  if (entry.path.starts_with("train/")) return Split::train;
  return entry.path.starts_with("test/") ? Split::test : Split::all;
}

/// Collects the files of a source one by one, then gives them classes and their order.
class Finder {
 public:
  Finder(const fs::path& root, const SourceSettings& settings) : settings_(settings) { source_.root = root; }

  void walk_folder();
  void walk_archive(const fs::path& file, const std::string& prefix);
  void add_cifar_file(const fs::path& file, const std::string& path);
  void take_cifar_names(const fs::path& file);
  void add_idx_file(const fs::path& file, const std::string& path, IdxKind kind);
  void add_idx_labels_of(const fs::path& images);
  ImageSource finish();

 private:
  struct Found {
    SourceEntry entry;
    std::string class_name;  ///< of images
    Split split = Split::all;
  };

  void add_own_file(const fs::path& file, const std::string& path, std::uint64_t size);
  void add_image(SourceEntry entry);
  void add_records(const SourceEntry& file, const CifarLayout& layout, Bytes bytes);
  void add_idx_member(SourceEntry entry, IdxKind kind, Bytes bytes);
  void add_member(const ArchiveMember& member, const std::string& prefix, std::uint32_t container, ArchiveWalk& walk);
  std::string class_of(const std::string& path);
  void drop_pages(const char* what);
  void name_cifar_classes();
  void name_idx_classes();
  void name_folder_classes();
  void pass_over_outer_folder();
  void take_split();
  [[noreturn]] void fail(const std::string& what, const std::string& hint = {}) const {
    throw Error(ExitCode::input, fmt::format("{}: {}", source_.root.string(), what), hint);
  }

  SourceSettings settings_;
  ImageSource source_;
  std::vector<Found> found_;
  std::vector<std::string> cifar_names_;
  std::uint32_t cifar_classes_ = 0;
  IdxFiles idx_;
  std::string first_in_folder_, first_flat_;
};

void Finder::walk_folder() {
  try {
    const auto follow = fs::directory_options::follow_directory_symlink;
    for (auto at = fs::recursive_directory_iterator(source_.root, follow); at != fs::end(at); ++at) {
      if (at.depth() > kDeepestFolder)
        fail(fmt::format("folders nested over {} deep at {}", kDeepestFolder, at->path().string()),
             "is a link pointing back into the folder?");
      const auto path = at->path().lexically_relative(source_.root).generic_string();
      if (is_litter(path)) {
        at.disable_recursion_pending();
        continue;
      }
      if (at->is_directory()) continue;
      if (!at->is_regular_file()) fail(fmt::format("'{}' is not a regular file", path), "expected images");
      add_own_file(at->path(), path, at->file_size());
    }
  } catch (const fs::filesystem_error& failure) {
    fail(fmt::format("cannot read {}: {}", failure.path1().string(), failure.code().message()),
         "check its permissions");
  }
}

void Finder::add_own_file(const fs::path& file, const std::string& path, std::uint64_t size) {
  SourceEntry entry;
  entry.path = path;
  entry.size = size;
  if (has_image_suffix(path)) return add_image(std::move(entry));
  const auto head = head_of(file);
  if (sniff_image(head) != ImageFormat::unknown) return add_image(std::move(entry));
  if (const auto kind = idx_kind(path, head); kind != IdxKind::none) return add_idx_file(file, path, kind);
  if (looks_like_archive(head)) return walk_archive(file, without_archive_suffix(path) + "/");
  if (path.ends_with(".bin")) return add_cifar_file(file, path);
  if (is_cifar_names(file_name(path))) return take_cifar_names(file);
  source_.foreign.push_back(fmt::format("{}: {}", path, describe_content(head)));
}

void Finder::add_idx_file(const fs::path& file, const std::string& path, IdxKind kind) {
  if (kind == IdxKind::labels) return idx_.add_labels(path, read_idx_values(file, kind));
  source_.containers.push_back(file);
  SourceEntry whole;
  whole.path = path;
  whole.container = static_cast<std::uint32_t>(source_.containers.size() - 1);
  whole.encoding = Encoding::idx;
  const auto header = read_idx_header(file, kind);
  // Of a packed file only the values are kept.
  whole.offset = is_packed_idx(path) ? 0 : header.begin();
  idx_.add_images(whole, header);
}

/// The labels beside a file of images that was named alone.
void Finder::add_idx_labels_of(const fs::path& images) {
  const auto name = idx_labels_of(images.filename().string());
  if (!name) return;
  for (const auto& each : {*name, *name + ".gz"})
    if (const auto file = images.parent_path() / each; fs::exists(file))
      return add_idx_file(file, each, IdxKind::labels);
}

void Finder::add_idx_member(SourceEntry entry, IdxKind kind, Bytes bytes) {
  const auto name = fmt::format("{}: {}", source_.root.string(), entry.path);
  const auto header = parse_idx(bytes, kind, name);
  check_idx_length(header, bytes.size(), name);
  const auto values = bytes.subspan(header.begin());
  if (kind == IdxKind::labels) return idx_.add_labels(entry.path, {values.begin(), values.end()});
  entry.encoding = Encoding::idx;
  entry.offset += header.begin();
  idx_.add_images(entry, header);
}

void Finder::take_cifar_names(const fs::path& file) {
  const PositionedFile bytes(file);
  std::vector<std::uint8_t> text(std::min<std::uint64_t>(bytes.size(), 1 << 16));
  bytes.read(0, text);
  cifar_names_ = parse_class_names(text);
}

void Finder::add_cifar_file(const fs::path& file, const std::string& path) {
  const MappedFile bytes(file);
  const auto layout = cifar_layout(bytes.bytes());
  if (!layout) {
    const auto head = bytes.bytes().first(std::min(bytes.bytes().size(), kHeadBytes));
    source_.foreign.push_back(fmt::format("{}: {}", path, describe_content(head)));
    return;
  }
  source_.containers.push_back(file);
  const auto container = static_cast<std::uint32_t>(source_.containers.size() - 1);
  SourceEntry whole;
  whole.path = path;
  whole.container = container;
  add_records(whole, *layout, bytes.bytes());
}

void Finder::add_records(const SourceEntry& file, const CifarLayout& layout, Bytes bytes) {
  if (cifar_classes_ != 0 && cifar_classes_ != layout.classes)
    fail("holds CIFAR-10 and CIFAR-100 files", "import them one by one");
  cifar_classes_ = layout.classes;
  for (std::uint64_t i = 0; i < layout.records; ++i) {
    SourceEntry entry = file;
    entry.path = fmt::format("{}/{:06}", file.path, i);
    entry.label = bytes[i * layout.record + layout.label_at];
    entry.offset += i * layout.record;
    entry.size = layout.record;
    entry.encoding = layout.classes == 10 ? Encoding::cifar10 : Encoding::cifar100;
    const auto split = split_of(entry, file.path);
    found_.push_back({std::move(entry), {}, split});
  }
}

void Finder::walk_archive(const fs::path& file, const std::string& prefix) {
  source_.containers.push_back(file);
  const auto container = static_cast<std::uint32_t>(source_.containers.size() - 1);
  ArchiveWalk walk(file);
  while (const auto member = walk.next()) add_member(*member, prefix, container, walk);
}

void Finder::add_member(const ArchiveMember& member, const std::string& prefix, std::uint32_t container,
                        ArchiveWalk& walk) {
  SourceEntry entry;
  entry.path = prefix + member.path;
  entry.container = container;
  entry.offset = member.offset.value_or(0);
  entry.size = member.size;
  if (!member.offset) entry.ordinal = member.ordinal;
  if (has_image_suffix(member.path) || sniff_image(walk.head()) != ImageFormat::unknown)
    return add_image(std::move(entry));
  if (is_cifar_names(file_name(member.path))) {
    cifar_names_ = parse_class_names(walk.read());
    return;
  }
  if (const auto kind = idx_kind(member.path, walk.head()); kind != IdxKind::none)
    return add_idx_member(std::move(entry), kind, walk.read());
  if (member.path.ends_with(".bin")) {
    const auto bytes = walk.read();
    if (const auto layout = cifar_layout(bytes)) return add_records(entry, *layout, bytes);
  }
  source_.foreign.push_back(fmt::format("{}: {}", entry.path, describe_content(walk.head())));
}

std::string Finder::class_of(const std::string& path) {
  std::string_view rest = path;
  if (settings_.class_from == SourceSettings::ClassFrom::name) {
    const auto name = file_name(rest);
    const auto end = name.find('_');
    if (end == 0 || end == std::string_view::npos)
      fail(fmt::format("'{}' has no '_' that would end its class", path),
           "with --class-from name, names are CLASS_anything");
    return std::string(name.substr(0, end));
  }
  for (const std::string_view part : {"train/", "test/"})
    if (rest.starts_with(part)) {
      rest.remove_prefix(part.size());
      break;
    }
  const auto slash = rest.find('/');
  auto& first = slash == std::string_view::npos ? first_flat_ : first_in_folder_;
  if (first.empty() || path < first) first = path;
  return slash == std::string_view::npos ? "all" : std::string(rest.substr(0, slash));
}

void Finder::add_image(SourceEntry entry) {
  auto name = class_of(entry.path);
  const auto split = split_of(entry, {});
  found_.push_back({std::move(entry), std::move(name), split});
}

// `tar cf set.tar photos` puts one folder around the class folders; it is no class.
void Finder::pass_over_outer_folder() {
  if (settings_.class_from == SourceSettings::ClassFrom::name) return;
  const auto outer = found_.front().entry.path.substr(0, found_.front().entry.path.find('/') + 1);
  if (outer.empty() || outer == "train/" || outer == "test/") return;
  for (const auto& found : found_) {
    const auto& path = found.entry.path;
    if (!path.starts_with(outer) || path.find('/', outer.size()) == std::string::npos) return;
  }
  for (auto& found : found_) {
    SourceEntry inner;
    inner.path = found.entry.path.substr(outer.size());
    found.class_name = class_of(inner.path);
    found.split = split_of(inner, {});
  }
}

void Finder::take_split() {
  for (const auto& found : found_) {
    source_.train += found.split == Split::train;
    source_.test += found.split == Split::test;
  }
  if (settings_.split == Split::all) return;
  std::erase_if(found_, [&](const Found& found) { return found.split != settings_.split; });
  const char* part = settings_.split == Split::train ? "train" : "test";
  if (found_.empty())
    fail(fmt::format("has no {} part", part), "expected a folder of that name, or CIFAR's or IDX files");
}

/// Where images are not alone in their files: nothing else may be there but read-me pages and name lists.
void Finder::drop_pages(const char* what) {
  for (const auto& found : found_)
    if (found.entry.encoding == Encoding::image)
      fail(fmt::format("holds {} and other images ('{}')", what, found.entry.path), "import them one by one");
  std::erase_if(source_.foreign, [](const std::string& name) {
    const auto path = name.substr(0, name.find(": "));
    return path.ends_with(".html") || path.ends_with(".txt");
  });
}

void Finder::name_idx_classes() {
  if (cifar_classes_ != 0) fail("holds IDX and CIFAR binary files", "import them one by one");
  drop_pages("IDX files");
  idx_.each(source_.root.string(), [&](SourceEntry entry, const std::string& file) {
    found_.push_back({std::move(entry), {}, split_of_idx(file)});
  });
  source_.classes = idx_.classes();
}

void Finder::name_cifar_classes() {
  drop_pages("CIFAR binary files");
  source_.classes = cifar_names_;
  if (source_.classes.size() == cifar_classes_) return;
  if (!source_.classes.empty())
    fail(fmt::format("{} class names for {} classes", source_.classes.size(), cifar_classes_),
         "expected one name a line");
  for (std::uint32_t c = 0; c < cifar_classes_; ++c)
    source_.classes.push_back(cifar_classes_ == 10 ? fmt::format("{}", c) : fmt::format("{:02}", c));
}

void Finder::name_folder_classes() {
  if (!first_flat_.empty() && !first_in_folder_.empty())
    fail(fmt::format("'{}' stands in a class folder, '{}' in none", first_in_folder_, first_flat_),
         "expected all images in class folders or none; --class-from name takes classes from file names");
  std::map<std::string, std::uint32_t> labels;
  for (const auto& found : found_) labels.emplace(found.class_name, 0);
  for (auto& [name, label] : labels) {
    label = static_cast<std::uint32_t>(source_.classes.size());
    source_.classes.push_back(name);
  }
  for (auto& found : found_) found.entry.label = labels.at(found.class_name);
}

ImageSource Finder::finish() {
  if (found_.empty() && idx_.empty()) {
    const auto& foreign = source_.foreign;
    fail(foreign.empty() ? "holds no images" : fmt::format("holds no images; not an image: {}", foreign.front()),
         "langrun reads JPEG, PNG, CIFAR binary and IDX files, in folders and tars");
  }
  // Classes are those of the whole source, so that its parts agree on labels.
  if (!idx_.empty()) {
    name_idx_classes();
  } else if (cifar_classes_ != 0) {
    name_cifar_classes();
  } else {
    pass_over_outer_folder();
    name_folder_classes();
  }
  take_split();
  for (auto& found : found_) source_.entries.push_back(std::move(found.entry));
  found_.clear();
  const auto before = [](const SourceEntry& a, const SourceEntry& b) {
    return a.label != b.label ? a.label < b.label : a.path < b.path;
  };
  std::sort(source_.entries.begin(), source_.entries.end(), before);
  const auto twice =
      std::adjacent_find(source_.entries.begin(), source_.entries.end(),
                         [](const auto& a, const auto& b) { return a.label == b.label && a.path == b.path; });
  if (twice != source_.entries.end())
    fail(fmt::format("holds '{}' twice", twice->path), "every image needs a path of its own");
  std::sort(source_.foreign.begin(), source_.foreign.end());
  return std::move(source_);
}

}  // namespace

std::string ImageSource::name_of(const SourceEntry& entry) const {
  const bool own = entry.container == SourceEntry::kOwnFile;
  return own ? (root / entry.path).string() : fmt::format("{}: {}", root.string(), entry.path);
}

std::uint64_t ImageSource::fingerprint() const {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  for (const auto& name : classes) XXH3_64bits_update(state.get(), name.c_str(), name.size() + 1);
  for (const auto& entry : entries) {
    const std::array<std::uint64_t, 2> numbers{entry.label, entry.size};
    XXH3_64bits_update(state.get(), numbers.data(), sizeof(numbers));
    XXH3_64bits_update(state.get(), entry.path.c_str(), entry.path.size() + 1);
  }
  return XXH3_64bits_digest(state.get());
}

ImageSource find_images(const fs::path& root, const SourceSettings& settings) {
  std::error_code failure;
  const auto status = fs::status(root, failure);
  if (!fs::exists(status))
    throw Error(ExitCode::input, fmt::format("no file or folder {}", root.string()), "check the path");
  Finder finder(root, settings);
  if (fs::is_directory(status)) {
    finder.walk_folder();
  } else if (const auto kind = idx_kind(root.string(), head_of(root)); kind == IdxKind::labels) {
    throw Error(ExitCode::input, fmt::format("{} holds labels, expected images", root.string()),
                "name the file of images; its labels are found beside it");
  } else if (kind == IdxKind::images) {
    finder.add_idx_file(root, root.filename().string(), kind);
    finder.add_idx_labels_of(root);
  } else if (root.extension() == ".bin") {
    finder.add_cifar_file(root, root.filename().string());
    for (const char* names : {"batches.meta.txt", "fine_label_names.txt"})
      if (fs::exists(root.parent_path() / names)) finder.take_cifar_names(root.parent_path() / names);
  } else {
    finder.walk_archive(root, "");
  }
  return finder.finish();
}

}  // namespace langrun
