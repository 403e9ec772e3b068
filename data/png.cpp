#include "data/png.h"

#include <fmt/format.h>
#include <png.h>

#include <string>

#include "core/error.h"
#include "data/durable.h"

namespace langrun {
namespace {

// libpng is C and leaves through longjmp unless its error handler does not return; an exception may pass through it
// because nothing of ours stands on libpng's frames.
[[noreturn]] void on_error(png_structp, png_const_charp message) {
  throw Error(ExitCode::internal, fmt::format("libpng: {}", message));
}
void on_warning(png_structp, png_const_charp) {}

void append(png_structp png, png_bytep bytes, png_size_t count) {
  auto* out = static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(png));
  out->insert(out->end(), bytes, bytes + count);
}
void nothing_to_flush(png_structp) {}

/// libpng's write state, freed on every way out.
struct Writer {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, on_error, on_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  Writer() {
    if (info == nullptr) throw Error(ExitCode::internal, "libpng does not start");
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png, &info); }
};

}  // namespace

std::vector<std::uint8_t> encode_png(std::int64_t width, std::int64_t height, int channels,
                                     std::span<const std::uint8_t> pixels) {
  if (width < 1 || height < 1 || (channels != 1 && channels != 3) ||
      pixels.size() != static_cast<std::size_t>(width * height * channels))
    throw Error(ExitCode::internal, fmt::format("a PNG of {} x {} pixels and {} channels cannot come from {} bytes",
                                                width, height, channels, pixels.size()));
  std::vector<std::uint8_t> out;
  Writer writer;
  png_set_write_fn(writer.png, &out, append, nothing_to_flush);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8,
               channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  // The usual level 6 takes several times as long for 9 % of the bytes (a first grid of chains), and ranks wait for it.
  png_set_compression_level(writer.png, 3);
  png_write_info(writer.png, writer.info);
  const auto stride = static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  for (std::int64_t y = 0; y < height; ++y)
    png_write_row(writer.png, pixels.data() + static_cast<std::size_t>(y) * stride);
  png_write_end(writer.png, nullptr);
  return out;
}

void write_png(const std::filesystem::path& path, std::int64_t width, std::int64_t height, int channels,
               std::span<const std::uint8_t> pixels) {
  write_durably(path, encode_png(width, height, channels, pixels));
}

}  // namespace langrun
