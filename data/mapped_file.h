// A file's bytes as memory, read by the operating system as they are touched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace langrun {

/// A read-only mapping of a whole file. The bytes stay valid as long as the object; an empty file has none.
class MappedFile {
 public:
  enum class Access { sequential, scattered };
  /// Throws Error(input) where the file is missing, not a regular file, or not readable.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }
  /// How the bytes will be touched: read ahead or not.
  void advise(Access access);

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// An open file read by position; unlike a mapping, a failing disk is an exception and not a signal.
class PositionedFile {
 public:
  explicit PositionedFile(const std::filesystem::path& path);
  ~PositionedFile();
  PositionedFile(const PositionedFile&) = delete;
  PositionedFile& operator=(const PositionedFile&) = delete;

  std::uint64_t size() const { return size_; }
  /// Fills `out` from `offset`. Throws Error(input) where the file ends before or cannot be read.
  void read(std::uint64_t offset, std::span<std::uint8_t> out) const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace langrun
