// Reading JPEG (libjpeg-turbo) and PNG (libpng) from memory. What a file is, its first bytes say, not its name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/raster.h"

namespace langrun {

/// Encoded bytes of one file.
using Bytes = std::span<const std::uint8_t>;

enum class ImageFormat { jpeg, png, unknown };

/// The format by content. A few bytes suffice.
ImageFormat sniff_image(Bytes bytes);
/// What the bytes look like, for messages: "JPEG", "a GIF image", "text", "empty", ...
std::string describe_content(Bytes bytes);

struct DecodeSettings {
  /// Short side wanted afterwards, for scaled decoding; 0 decodes in full.
  std::int64_t scale_to = 0;
};

/// A decoded image, and how large the file's was.
struct Decoded {
  Raster raster;
  std::int64_t height = 0, width = 0;  ///< of the whole image; the raster is smaller where it was scaled
  int part = 1;                        ///< 1, 2, 4 or 8: the raster is one of so many parts of it in each direction
};

/// Most pixels of an image that is decoded; larger ones are refused before memory is taken for them.
inline constexpr std::int64_t kMostImagePixels = std::int64_t{1} << 27;

/// Decodes to RGB, uint8 [H, W, 3]. Grey becomes RGB; CMYK and YCCK JPEGs become RGB without a colour profile; every
/// PNG bit depth becomes 8 bits (16 bits scaled, fewer expanded), and transparency is composited on black. Orientation
/// tags and colour profiles are not applied. With `scale_to`, JPEGs are decoded at 1/2, 1/4 or 1/8 where the short side
/// stays at least that long; PNGs always in full. Throws Error(input) where the bytes are not a whole, undamaged image
/// of these formats; the message says why and leaves naming the file to the caller.
Raster decode_image(Bytes bytes, const DecodeSettings& settings = {});
/// The same into `out`, whose memory is used again.
void decode_image(Bytes bytes, const DecodeSettings& settings, Decoded& out);

void decode_jpeg(Bytes bytes, const DecodeSettings& settings, Decoded& out);
Raster decode_png(Bytes bytes);
/// An RGB image as a JPEG of 4:2:0 chroma, as cameras write them: for benchmarks and tests. `quality` 1 to 100.
std::vector<std::uint8_t> encode_jpeg(const Raster& image, int quality);
/// A raster that is the whole image.
void take_whole(Raster raster, Decoded& out);

/// Throws Error(input) unless 1 <= width, height and width * height <= kMostImagePixels.
void check_image_extent(std::int64_t width, std::int64_t height);

}  // namespace langrun
