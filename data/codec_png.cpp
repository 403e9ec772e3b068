#include <fmt/format.h>
#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/codecs.h"

namespace langrun {
namespace {

/// What libpng's callbacks share. Plain data: libpng leaves by longjmp, which runs no destructors.
struct Reader {
  const std::uint8_t* at;
  std::size_t left;
  char reason[200];
};

void read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (count > reader->left) png_error(png, "the file ends early");
  std::memcpy(out, reader->at, count);
  reader->at += count;
  reader->left -= count;
}

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->reason, text, sizeof(reader->reason) - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

/// Everything becomes 8-bit RGBA, so that one rule for transparency serves all kinds.
void expand_to_rgba(png_structp png) {
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
}

/// A libpng read under way. Its calls may longjmp; only `run` may be their caller, and it holds no C++ objects.
class PngRead {
 public:
  explicit PngRead(Bytes bytes) : reader_{bytes.data(), bytes.size(), {}} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader_, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) throw Error(ExitCode::internal, "libpng does not start");
    png_set_read_fn(png_, &reader_, read_bytes);
    png_set_chunk_malloc_max(png_, png_alloc_size_t{1} << 24);
  }
  ~PngRead() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngRead(const PngRead&) = delete;
  PngRead& operator=(const PngRead&) = delete;

  void read_header() { run(&PngRead::header); }
  void read_rows(png_bytepp rows) {
    rows_ = rows;
    run(&PngRead::rows);
  }
  std::int64_t width() const { return png_get_image_width(png_, info_); }
  std::int64_t height() const { return png_get_image_height(png_, info_); }

 private:
  void run(void (PngRead::*step)()) {
    if (setjmp(png_jmpbuf(png_)) != 0)
      throw Error(ExitCode::input, fmt::format("damaged PNG: {}", static_cast<const char*>(reader_.reason)));
    (this->*step)();
  }
  void header() {
    png_read_info(png_, info_);
    expand_to_rgba(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
  }
  void rows() {
    png_read_image(png_, rows_);
    // Checks the rest down to the end chunk: a file cut off behind its pixels is cut off all the same.
    png_read_end(png_, nullptr);
  }

  Reader reader_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_bytepp rows_ = nullptr;
};

std::vector<std::uint8_t> on_black(const std::vector<std::uint8_t>& rgba) {
  std::vector<std::uint8_t> rgb(rgba.size() / 4 * 3);
  for (std::size_t pixel = 0; pixel * 4 < rgba.size(); ++pixel)
    for (std::size_t c = 0; c < 3; ++c)
      rgb[pixel * 3 + c] = static_cast<std::uint8_t>((rgba[pixel * 4 + c] * rgba[pixel * 4 + 3] + 127) / 255);
  return rgb;
}

}  // namespace

/// Width and height as the header chunk says, before libpng sees a byte: nothing is allocated for an absurd size.
void check_header_extent(Bytes bytes) {
  constexpr std::size_t kWidth = 16, kHeight = 20, kEnd = 24;
  if (bytes.size() < kEnd) throw Error(ExitCode::input, "damaged PNG: the file ends early");
  const auto number = [&](std::size_t at) {
    return static_cast<std::int64_t>(bytes[at]) << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
  };
  check_image_extent(number(kWidth), number(kHeight));
}

Raster decode_png(Bytes bytes) {
  check_header_extent(bytes);
  PngRead png(bytes);
  png.read_header();
  const auto height = static_cast<std::size_t>(png.height()), stride = static_cast<std::size_t>(png.width()) * 4;
  std::vector<std::uint8_t> rgba(height * stride);
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = rgba.data() + y * stride;
  png.read_rows(rows.data());
  return {png.height(), png.width(), 3, on_black(rgba)};
}

}  // namespace langrun
