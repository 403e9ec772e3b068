// The images of a store that a score takes.
#pragma once

#include <ATen/core/TensorBody.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/image_store.h"
#include "data/statistics_file.h"

namespace langrun {

/// Which images of a store.
struct ImageChoice {
  std::int64_t count = 0;        ///< at most as many as there are
  std::string choice = "first";  ///< "first", or "random" (keyed by seed, without repetition)
  std::int64_t seed = 1;
  std::uint64_t place = 0;  ///< of the store among those that are scored: each has a choice of its own
};

class ScoreImages {
 public:
  /// Takes all images until `choose`. Throws Error(input) where there is no store.
  explicit ScoreImages(const std::string& path);

  std::int64_t size() const { return static_cast<std::int64_t>(store_.count()); }
  ImageShape shape() const { return store_.shape(); }
  std::string path() const { return store_.path().string(); }
  /// How many are taken.
  std::int64_t count() const { return static_cast<std::int64_t>(chosen_.size()); }

  /// Takes these, in rising order.
  void choose(const ImageChoice& choice);

  /// Images [first, first + count) of those taken, as [rows, 3, H, W] uint8; rows from `count` on are grey. Grey images
  /// come with three equal channels.
  at::Tensor read(std::int64_t first, std::int64_t count, std::int64_t rows) const;
  /// The same as they lie in the store, [count, H, W, C], without more rows.
  std::vector<std::uint8_t> read_raw(std::int64_t first, std::int64_t count) const;
  std::size_t image_bytes() const { return store_.image_bytes(); }

 private:
  ImageStore store_;
  std::vector<std::uint64_t> chosen_;
};

/// Work that is cut into blocks of images, which go to ranks in turn.
struct Blocks {
  std::int64_t count = 0, block = 1;

  std::int64_t blocks() const { return (count + block - 1) / block; }
  /// Images of block b, 0 behind the last.
  std::int64_t rows(std::int64_t b) const;
};

}  // namespace langrun
