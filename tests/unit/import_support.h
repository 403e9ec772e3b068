// What the tests of importing share: a scratch folder, tars and PNGs made up in memory.
#pragma once

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/raster.h"
#include "data/png.h"

namespace langrun::test {

using Octets = std::vector<std::uint8_t>;

/// A folder that goes with the object.
class ScratchFolder {
 public:
  ScratchFolder() {
    auto name = (std::filesystem::temp_directory_path() / "langrun-import.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  /// Names left in the folder.
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

/// An RGB image whose every byte is a function of `mark` and its place.
inline Raster marked_raster(std::uint8_t mark, std::int64_t height = 8, std::int64_t width = 8) {
  Raster image{height, width, 3, {}};
  for (std::int64_t i = 0; i < height * width * 3; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(mark * 7 + i * 3));
  return image;
}
inline Octets marked_png(std::uint8_t mark, std::int64_t height = 8, std::int64_t width = 8) {
  return encode_png(width, height, 3, marked_raster(mark, height, width).pixels);
}

/// A tar in memory, members in the order of `add`.
class TarMaker {
 public:
  TarMaker& add(const std::string& name, std::span<const std::uint8_t> bytes, char kind = '0',
                const std::string& link = {}) {
    std::array<char, 512> header{};
    const auto put = [&](std::size_t at, const std::string& text) { text.copy(header.data() + at, text.size()); };
    const auto octal = [](std::size_t value) {
      std::array<char, 16> text{};
      std::snprintf(text.data(), text.size(), "%011zo", value);
      return std::string(text.data());
    };
    put(0, name);
    put(100, "0000644");
    put(124, octal(bytes.size()));
    put(136, octal(0));
    put(148, "        ");
    header[156] = kind;
    put(157, link);
    put(257, std::string("ustar\0"
                         "00",
                         8));
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, octal(sum).substr(5) + std::string("\0 ", 2));
    tar_.insert(tar_.end(), header.begin(), header.end());
    tar_.insert(tar_.end(), bytes.begin(), bytes.end());
    tar_.resize((tar_.size() + 511) / 512 * 512);
    return *this;
  }
  Octets finish() const {
    auto whole = tar_;
    whole.resize(whole.size() + 1024);
    return whole;
  }

 private:
  Octets tar_;
};

/// Exit code of the Error that `action` throws, or -1 where it throws none; its text goes to `message`.
template <typename Action>
int code_of(Action&& action, std::string* message = nullptr) {
  try {
    action();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return static_cast<int>(error.code());
  }
  return -1;
}

/// Folder of the sample data beside the source, which need not be there.
inline std::filesystem::path shared_data() {
  if (const char* set = std::getenv("LANGRUN_SHARED")) return std::filesystem::path(set) / "data";
  const char* source = std::getenv("LANGRUN_SOURCE");
  return std::filesystem::path(source == nullptr ? "." : source) / ".." / "shared" / "data";
}

}  // namespace langrun::test
