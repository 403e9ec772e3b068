#include <fmt/format.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "core/error.h"
#include "data/codecs.h"

namespace langrun {
namespace {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};
using Transformer = std::unique_ptr<void, Destroy>;

/// True where an Adobe marker stands before the image data: such CMYK files store their inks inverted.
bool has_adobe_marker(Bytes bytes) {
  for (std::size_t at = 2; at + 4 <= bytes.size() && bytes[at] == 0xff;) {
    const auto marker = bytes[at + 1];
    if (marker == 0xff) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) return false;
    const std::size_t length = std::size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    if (marker == 0xee && length >= 12 && at + 9 <= bytes.size() && std::memcmp(bytes.data() + at + 4, "Adobe", 5) == 0)
      return true;
    at += 2 + length;
  }
  return false;
}

void cmyk_to_rgb(const std::vector<std::uint8_t>& inks, bool inverted, std::vector<std::uint8_t>& rgb) {
  for (std::size_t pixel = 0; pixel * 4 < inks.size(); ++pixel) {
    const auto light = [&](std::size_t ink) {
      const int value = inks[pixel * 4 + ink];
      return inverted ? value : 255 - value;
    };
    for (std::size_t c = 0; c < 3; ++c)
      rgb[pixel * 3 + c] = static_cast<std::uint8_t>((light(c) * light(3) + 127) / 255);
  }
}

/// The smallest of 1, 1/2, 1/4, 1/8 that leaves the short side at least `shortest` long. libjpeg-turbo also decodes at
/// 3/8, 5/8, 6/8 and 7/8, but without vector instructions: slower than in full.
tjscalingfactor scaling_for(int width, int height, std::int64_t shortest) {
  tjscalingfactor best{1, 1};
  for (int part = 2; shortest > 0 && part <= 8; part *= 2) {
    const tjscalingfactor factor{1, part};
    if (std::min(TJSCALED(width, factor), TJSCALED(height, factor)) >= shortest) best = factor;
  }
  return best;
}

[[noreturn]] void fail(tjhandle handle) {
  throw Error(ExitCode::input, fmt::format("damaged JPEG: {}", tjGetErrorStr2(handle)));
}

/// libjpeg goes on after a warning and fills what is missing with grey, so a warning is an error here. The one
/// exception: stray bytes before the end marker, as some cameras leave. Only the first warning is kept, and with this
/// one everything before the end was read without any.
bool is_harmless(const char* warning) { return std::strstr(warning, "extraneous bytes before marker 0xd9") != nullptr; }

void decompress(tjhandle handle, Bytes bytes, std::uint8_t* out, int width, int height, int format) {
  const int result = tjDecompress2(handle, bytes.data(), static_cast<unsigned long>(bytes.size()), out, width, 0,
                                   height, format, TJFLAG_LIMITSCANS);
  if (result == 0) return;
  if (tjGetErrorCode(handle) == TJERR_WARNING && is_harmless(tjGetErrorStr2(handle))) return;
  fail(handle);
}

}  // namespace

void decode_jpeg(Bytes bytes, const DecodeSettings& settings, Decoded& out) {
  // One for each image: libjpeg keeps tables, and a file that lacks its own would be decoded with another's.
  const Transformer handle(tjInitDecompress());
  if (!handle) throw Error(ExitCode::internal, "libjpeg-turbo does not start");
  int width = 0, height = 0, subsampling = 0, colour = 0;
  if (tjDecompressHeader3(handle.get(), bytes.data(), static_cast<unsigned long>(bytes.size()), &width, &height,
                          &subsampling, &colour) != 0)
    fail(handle.get());
  check_image_extent(width, height);
  const auto factor = scaling_for(width, height, settings.scale_to);
  out.height = height;
  out.width = width;
  out.part = factor.denom;
  width = TJSCALED(width, factor);
  height = TJSCALED(height, factor);
  auto& image = out.raster;
  image.height = height;
  image.width = width;
  image.channels = 3;
  image.pixels.resize(image.bytes());
  if (colour == TJCS_CMYK || colour == TJCS_YCCK) {
    std::vector<std::uint8_t> inks(image.bytes() / 3 * 4);
    decompress(handle.get(), bytes, inks.data(), width, height, TJPF_CMYK);
    cmyk_to_rgb(inks, has_adobe_marker(bytes), image.pixels);
  } else {
    decompress(handle.get(), bytes, image.pixels.data(), width, height, TJPF_RGB);
  }
}

std::vector<std::uint8_t> encode_jpeg(const Raster& image, int quality) {
  const Transformer handle(tjInitCompress());
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  if (!handle || tjCompress2(handle.get(), image.pixels.data(), static_cast<int>(image.width), 0,
                             static_cast<int>(image.height), TJPF_RGB, &bytes, &size, TJSAMP_420, quality, 0) != 0)
    throw Error(ExitCode::internal, fmt::format("cannot make a JPEG: {}", tjGetErrorStr2(handle.get())));
  std::vector<std::uint8_t> out(bytes, bytes + size);
  tjFree(bytes);
  return out;
}

}  // namespace langrun
