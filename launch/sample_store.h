// Samples as an image store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/images.h"
#include "jobs/sample_config.h"

namespace langrun::launch {

/// /images uint8 [N, H, W, C] (of points of the plane float32), /labels, and where they came from. Written whole or not
/// at all: the file appears under its name with `finish`. Used on one rank.
class SampleStore {
 public:
  SampleStore(const SampleConfig& config, const std::filesystem::path& out);
  ~SampleStore();
  SampleStore(const SampleStore&) = delete;
  SampleStore& operator=(const SampleStore&) = delete;

  /// How many there will be, where config.count does not say; before the first image.
  void set_count(std::int64_t count);
  /// Rows [first, first + n) of the store. Throws Error(storage) where they cannot be written.
  void add(std::int64_t first, const ImageShape& shape, const std::vector<std::uint8_t>& images);
  void finish();

 private:
  struct Contents;
  std::unique_ptr<Contents> contents_;
};

}  // namespace langrun::launch
