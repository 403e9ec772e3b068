#include "data/idx_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace langrun {
namespace {

std::string without_gz(const std::string& path) { return is_packed_idx(path) ? path.substr(0, path.size() - 3) : path; }

[[noreturn]] void fail(const std::string& source, const std::string& what, const std::string& hint) {
  throw Error(ExitCode::input, fmt::format("{}: {}", source, what), hint);
}

}  // namespace

void IdxFiles::add_images(const SourceEntry& file, const IdxHeader& header) {
  const auto key = idx_labels_of(file.path);
  if (!key)
    throw Error(ExitCode::input,
                fmt::format("'{}' is an IDX file of images, but has no 'images' in its name", file.path),
                "the labels' file is found by its name: train-images-idx3-ubyte goes with train-labels-idx1-ubyte");
  const auto [at, fresh] = images_.try_emplace(*key, Images{file, header});
  if (fresh) return;
  if (is_packed_idx(file.path) == is_packed_idx(at->second.file.path))
    throw Error(ExitCode::input,
                fmt::format("'{}' and '{}' share one file of labels", at->second.file.path, file.path));
  if (!is_packed_idx(file.path)) at->second = {file, header};
}

void IdxFiles::add_labels(const std::string& path, std::vector<std::uint8_t> labels) {
  const auto [at, fresh] = labels_.try_emplace(without_gz(path), Labels{path, {}});
  if (!fresh && is_packed_idx(path)) return;
  at->second = {path, std::move(labels)};
}

void IdxFiles::each(const std::string& source,
                    const std::function<void(SourceEntry entry, const std::string& file)>& take) const {
  for (const auto& [key, images] : images_) {
    const auto& path = images.file.path;
    const auto found = labels_.find(key);
    if (found == labels_.end())
      fail(source, fmt::format("no labels for '{}'", path), fmt::format("expected {} or {}.gz beside it", key, key));
    const auto& labels = found->second.values;
    if (labels.size() != images.header.count)
      fail(source,
           fmt::format("'{}' holds {} images, '{}' {} labels", path, images.header.count, found->second.path,
                       labels.size()),
           "the two do not belong together");
    const auto bytes = images.header.height * images.header.width;
    for (std::uint64_t i = 0; i < images.header.count; ++i) {
      auto entry = images.file;
      entry.path = fmt::format("{}/{:08}", without_gz(path), i);
      entry.label = labels[i];
      entry.offset += i * bytes;
      entry.size = bytes;
      entry.width = static_cast<std::uint32_t>(images.header.width);
      take(std::move(entry), path);
    }
  }
  for (const auto& [key, labels] : labels_)
    if (!images_.contains(key))
      fail(source, fmt::format("no images for the labels '{}'", labels.path),
           "expected train-images-idx3-ubyte beside train-labels-idx1-ubyte");
}

std::vector<std::string> IdxFiles::classes() const {
  std::uint32_t highest = 0;
  for (const auto& [key, labels] : labels_)
    for (const auto label : labels.values) highest = std::max<std::uint32_t>(highest, label);
  const auto digits = fmt::format("{}", highest).size();
  std::vector<std::string> names;
  for (std::uint32_t c = 0; c <= highest; ++c) names.push_back(fmt::format("{:0{}}", c, digits));
  return names;
}

}  // namespace langrun
