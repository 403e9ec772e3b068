// The IDX files of a source, put together: each file of images with its labels.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/idx.h"
#include "data/image_source.h"

namespace langrun {

class IdxFiles {
 public:
  bool empty() const { return images_.empty() && labels_.empty(); }

  /// `file` is the whole file: where it stands, and in `path` its name within the source. Where the same is there both
  /// packed and not, what is not packed counts. Throws Error(input) where a name comes twice otherwise.
  void add_images(const SourceEntry& file, const IdxHeader& header);
  void add_labels(const std::string& path, std::vector<std::uint8_t> labels);

  /// Every image with its label, given to `take`. Throws Error(input) where labels or images are missing, or their
  /// counts differ, naming both files.
  void each(const std::string& source,
            const std::function<void(SourceEntry entry, const std::string& file)>& take) const;
  /// Names for labels 0 to the highest.
  std::vector<std::string> classes() const;

 private:
  struct Images {
    SourceEntry file;
    IdxHeader header;
  };
  struct Labels {
    std::string path;
    std::vector<std::uint8_t> values;
  };
  // By the name of the labels' file, without .gz.
  std::map<std::string, Images> images_;
  std::map<std::string, Labels> labels_;
};

}  // namespace langrun
