// A file of records that is only ever added to: what a kill in the middle leaves is read back up to the last whole
// record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace langrun {

/// What a file of records holds.
struct JournalContent {
  std::vector<std::vector<std::byte>> records;  ///< the whole ones up to the first that is none, in order
  std::uint64_t end = 0;                        ///< where they end, bytes
  std::uint64_t rest = 0;                       ///< bytes behind them, which do not count
  bool damaged = false;                         ///< the rest is no record that a kill amid its write cut off
};

/// Reads it and touches nothing; nothing is in it where there is no file. Throws Error(input) where it cannot be read,
/// Error(storage) where it is no file.
JournalContent journal_content(const std::filesystem::path& path);

/// Every whole record of the file, in order; nothing where there is no file. Whatever follows the first record that is
/// cut off or damaged is left out. Throws Error(input) where the file cannot be read.
std::vector<std::vector<std::byte>> read_journal(const std::filesystem::path& path);

/// What was taken out of a journal.
struct JournalDamage {
  std::uint64_t offset = 0;    ///< where the whole records ended
  std::uint64_t bytes = 0;     ///< that followed
  std::filesystem::path kept;  ///< the file as it was found
};

/// Adds records behind the whole ones of a file.
class Journal {
 public:
  /// Makes the file, or one anew of the whole records of the one that is there: a start that was overtaken goes on
  /// writing into the old one until it knows. One that is damaged is kept beside it as PATH.damaged-1, or the first
  /// such name that is free. Throws Error(storage); then the old one is untouched.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Of the file that was there; nothing where all of it was records, but for one that a kill cut off.
  const std::optional<JournalDamage>& damage() const { return damage_; }

  /// One record: its length, its checksum, its bytes. With the operating system when it returns: a kill of the program
  /// does not lose it. Throws Error(storage); then nothing of it counts.
  void add(std::span<const std::byte> record);
  /// On the disk when it returns. Throws Error(storage).
  void sync();

 private:
  std::filesystem::path path_;
  int file_ = -1;
  std::size_t end_ = 0;  ///< bytes of whole records
  std::optional<JournalDamage> damage_;
};

}  // namespace langrun
