// One image of a source on its way into a store: decoded, resized, cropped. A pure function of the file and the
// settings, so that threads and ranks can share the images in any way.
#pragma once

#include <cstdint>
#include <exception>
#include <vector>

#include "core/images.h"
#include "core/raster.h"
#include "core/resize.h"
#include "data/image_source.h"

namespace langrun {

struct FitSettings {
  std::int64_t size = 0;         ///< S of the S x S images; 0 takes them as they are
  bool random_crop = false;      ///< crops keyed by (seed, index of the image) instead of the middle
  std::int64_t crop_copies = 1;  ///< random crops per image
  std::uint64_t seed = 0;
  bool rgb = false;                 ///< grey images come with three equal channels
  bool scaled_decoding = false;     ///< JPEGs may be decoded at a fraction
  std::uint64_t compare_every = 0;  ///< with scaled decoding, every so-many-th image is decoded in full as well
};

/// How far images decoded at a fraction are from those decoded in full, in 8-bit levels of the stored pixels. Sums of
/// integers: the same in any order.
struct ScaledDifference {
  std::int64_t scaled = 0;    ///< images decoded at a fraction
  std::int64_t compared = 0;  ///< of those, images decoded in full as well
  std::int64_t values = 0;    ///< compared
  std::int64_t largest = 0;
  std::int64_t sum = 0;  ///< of absolute differences

  void add(const ScaledDifference& other);
  double mean() const { return values == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(values); }
};

/// What became of one image.
struct FittedImage {
  std::uint64_t index = 0;           ///< place in ImageSource::entries
  ImageShape shape;                  ///< of each crop
  std::vector<std::uint8_t> pixels;  ///< uint8 [crops, H, W, C]
  ScaledDifference difference;
  std::exception_ptr failure;  ///< why there is no image
};

/// Fits one image after the other; holds their memory. One for each thread.
class ImageFitter {
 public:
  explicit ImageFitter(const FitSettings& settings) : settings_(settings) {}
  /// Never throws for what the file holds: see FittedImage::failure.
  FittedImage fit(const SourceEntry& entry, const SourceReader::Item& item);

 private:
  void fit_crops(const SourceReader::Item& item, const Decoded& decoded, std::vector<std::uint8_t>& pixels);
  void compare(const SourceEntry& entry, const SourceReader::Item& item, FittedImage& fitted);

  FitSettings settings_;
  Decoded decoded_, whole_;
  Raster window_;
  std::vector<std::uint8_t> whole_pixels_;
};

}  // namespace langrun
