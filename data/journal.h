// A file of records that is only ever added to: what a kill in the middle leaves is read back up to the last whole
// record.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace langrun {

/// Every whole record of the file, in order; nothing where there is no file. Whatever follows the first record that is
/// cut off or damaged is left out. Throws Error(input) where the file cannot be read.
std::vector<std::vector<std::byte>> read_journal(const std::filesystem::path& path);

/// Adds records behind the whole ones of a file.
class Journal {
 public:
  /// Makes the file, or one anew of the whole records of the one that is there: a start that was overtaken goes on
  /// writing into the old one until it knows. Throws Error(storage); then the old one is untouched.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// One record: its length, its checksum, its bytes. With the operating system when it returns: a kill of the program
  /// does not lose it. Throws Error(storage); then nothing of it counts.
  void add(std::span<const std::byte> record);
  /// On the disk when it returns. Throws Error(storage).
  void sync();

 private:
  std::filesystem::path path_;
  int file_ = -1;
  std::size_t end_ = 0;  ///< bytes of whole records
};

}  // namespace langrun
