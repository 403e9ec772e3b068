#include "jobs/fit_image.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace langrun {
namespace {

void make_rgb(Raster& image) {
  if (image.channels == 3) return;
  std::vector<std::uint8_t> pixels;
  pixels.reserve(image.pixels.size() * 3);
  for (const auto value : image.pixels) pixels.insert(pixels.end(), 3, value);
  image.pixels = std::move(pixels);
  image.channels = 3;
}

}  // namespace

void ScaledDifference::add(const ScaledDifference& other) {
  scaled += other.scaled;
  compared += other.compared;
  values += other.values;
  largest = std::max(largest, other.largest);
  sum += other.sum;
}

FittedImage ImageFitter::fit(const SourceEntry& entry, const SourceReader::Item& item) {
  FittedImage fitted;
  fitted.index = item.index;
  try {
    const auto size = settings_.size;
    decode_entry(entry, item.bytes, {settings_.scaled_decoding ? size : 0}, decoded_);
    if (settings_.rgb) make_rgb(decoded_.raster);
    const auto& raster = decoded_.raster;
    if (size == 0) {
      fitted.shape = {raster.channels, raster.height, raster.width};
      fitted.pixels = raster.pixels;
      return fitted;
    }
    fitted.shape = {raster.channels, size, size};
    fit_crops(item, decoded_, fitted.pixels);
    if (decoded_.part > 1) compare(entry, item, fitted);
  } catch (...) {
    fitted.failure = std::current_exception();
  }
  return fitted;
}

void ImageFitter::fit_crops(const SourceReader::Item& item, const Decoded& decoded, std::vector<std::uint8_t>& pixels) {
  const auto size = settings_.size;
  // Of the whole image, also where it was decoded at a fraction: the crops are to show the same part.
  const auto extent = short_side_extent(decoded.height, decoded.width, size);
  check_resized_extent(decoded.height, decoded.width, extent);
  pixels.clear();
  for (std::int64_t copy = 0; copy < settings_.crop_copies; ++copy) {
    const auto offset = settings_.random_crop
                            ? random_crop(extent, size, settings_.seed, item.index, static_cast<std::uint32_t>(copy))
                            : center_crop(extent, size);
    resize_window(decoded.raster, extent, {offset.top, offset.left, size, size}, window_);
    pixels.insert(pixels.end(), window_.pixels.begin(), window_.pixels.end());
  }
}

void ImageFitter::compare(const SourceEntry& entry, const SourceReader::Item& item, FittedImage& fitted) {
  auto& difference = fitted.difference;
  difference.scaled = 1;
  if (settings_.compare_every == 0 || item.index % settings_.compare_every != 0) return;
  decode_entry(entry, item.bytes, {0}, whole_);
  fit_crops(item, whole_, whole_pixels_);
  difference.compared = 1;
  difference.values = static_cast<std::int64_t>(whole_pixels_.size());
  for (std::size_t i = 0; i < whole_pixels_.size(); ++i) {
    const auto apart = std::abs(std::int64_t{fitted.pixels[i]} - std::int64_t{whole_pixels_[i]});
    difference.largest = std::max(difference.largest, apart);
    difference.sum += apart;
  }
}

}  // namespace langrun
