#include "data/codecs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace langrun {
namespace {

bool starts_with(Bytes bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

bool is_text(Bytes bytes) {
  const auto head = bytes.first(std::min<std::size_t>(bytes.size(), 64));
  return std::all_of(head.begin(), head.end(),
                     [](std::uint8_t c) { return c >= 32 ? c != 127 : c == 9 || c == 10 || c == 13; });
}

}  // namespace

ImageFormat sniff_image(Bytes bytes) {
  if (starts_with(bytes, "\xff\xd8\xff")) return ImageFormat::jpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::png;
  return ImageFormat::unknown;
}

std::string describe_content(Bytes bytes) {
  if (bytes.empty()) return "an empty file";
  if (sniff_image(bytes) == ImageFormat::jpeg) return "a JPEG image";
  if (sniff_image(bytes) == ImageFormat::png) return "a PNG image";
  if (starts_with(bytes, "GIF8")) return "a GIF image";
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return "a WebP image";
  if (starts_with(bytes, "II*") || starts_with(bytes, "MM")) return "a TIFF image";
  if (starts_with(bytes, "BM")) return "a BMP image";
  if (starts_with(bytes, "\x89HDF")) return "an HDF5 file";
  if (starts_with(bytes, "PK")) return "a zip archive";
  if (starts_with(bytes, "\x1f\x8b")) return "gzip data";
  if (starts_with(bytes, "ustar", 257)) return "a tar archive";
  return is_text(bytes) ? "text" : "data of an unknown kind";
}

void check_image_extent(std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1) throw Error(ExitCode::input, fmt::format("an image of {} x {} pixels", height, width));
  if (height > kMostImagePixels / width)
    throw Error(ExitCode::input,
                fmt::format("{} x {} pixels, expected at most {} in all", height, width, kMostImagePixels));
}

void decode_image(Bytes bytes, const DecodeSettings& settings, Decoded& out) {
  switch (sniff_image(bytes)) {
    case ImageFormat::jpeg: return decode_jpeg(bytes, settings, out);
    case ImageFormat::png: return take_whole(decode_png(bytes), out);
    case ImageFormat::unknown: break;
  }
  throw Error(ExitCode::input, fmt::format("not an image: {}", describe_content(bytes)), "langrun reads JPEG and PNG");
}

Raster decode_image(Bytes bytes, const DecodeSettings& settings) {
  Decoded decoded;
  decode_image(bytes, settings, decoded);
  return std::move(decoded.raster);
}

void take_whole(Raster raster, Decoded& out) {
  out.height = raster.height;
  out.width = raster.width;
  out.part = 1;
  out.raster = std::move(raster);
}

}  // namespace langrun
