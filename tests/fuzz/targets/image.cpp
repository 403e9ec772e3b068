// JPEG and PNG through our decoders. Their sizes are bounded here, so that an execution is short; that larger ones are
// refused before memory is taken, the unit tests show.
#include <turbojpeg.h>

#include "data/codecs.h"
#include "tests/fuzz/fuzz.h"

namespace {

constexpr std::int64_t kMostPixels = 1 << 18;

bool is_large(langrun::Bytes bytes) {
  if (langrun::sniff_image(bytes) == langrun::ImageFormat::png) {
    const auto number = [&](std::size_t at) {
      return std::int64_t{bytes[at]} << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
    };
    return bytes.size() >= 24 && number(16) != 0 && number(20) > kMostPixels / number(16);
  }
  int width = 0, height = 0, subsampling = 0, colours = 0;
  static const tjhandle handle = tjInitDecompress();
  return tjDecompressHeader3(handle, bytes.data(), bytes.size(), &width, &height, &subsampling, &colours) == 0 &&
         height > kMostPixels / std::max(width, 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  fuzz::Octets input(data, size);
  DecodeSettings settings;
  settings.scale_to = fuzz::take_choice(input);
  describe_content(input);
  if (is_large(input)) return 0;
  fuzz::taken({ExitCode::input}, [&] {
    const auto image = decode_image(input, settings);
    fuzz::require(image.channels == 3 && image.pixels.size() == image.bytes(), "an image has the pixels that it says");
  });
  return 0;
}
