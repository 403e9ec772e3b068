// Going through the files of a tar (libarchive), plain or compressed, tars within tars included. Nothing is ever
// unpacked to disk, so no path of an archive can lead anywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace langrun {

/// A regular file of an archive.
struct ArchiveMember {
  std::string path;           ///< components joined by '/'; a nested tar is a folder named as it is, without its suffix
  std::uint64_t size = 0;     ///< bytes
  std::uint64_t ordinal = 0;  ///< its number in the walk
  std::optional<std::uint64_t> offset;  ///< where its bytes stand in the file on disk; none within compression
};

/// One pass over an archive, member by member, in stored order. The order, and with it `ordinal`, is the same in every
/// pass.
class ArchiveWalk {
 public:
  /// Throws Error(input) where the file is missing, empty, or no tar.
  explicit ArchiveWalk(const std::filesystem::path& path);
  ~ArchiveWalk();
  ArchiveWalk(const ArchiveWalk&) = delete;
  ArchiveWalk& operator=(const ArchiveWalk&) = delete;

  /// The next regular file; nested tars are entered (`skip` names files to pass over unread). Nothing at the end.
  /// Throws Error(input) where the archive is damaged, cut off, or holds links or sparse files.
  std::optional<ArchiveMember> next();
  /// First bytes of the current member, at most 512.
  std::span<const std::uint8_t> head();
  /// All bytes of the current member. Valid until the next call of anything.
  std::span<const std::uint8_t> read();

 private:
  struct Level;
  void find_place(ArchiveMember& member);
  bool enter_if_archive(const ArchiveMember& member);
  void leave();
  [[noreturn]] void fail(const std::string& what) const;

  std::filesystem::path path_;
  std::unique_ptr<class MappedFile> file_;
  std::vector<std::unique_ptr<Level>> levels_;
  std::uint64_t ordinal_ = 0;
};

/// "a//./b" as "a/b". Throws std::invalid_argument where a component is "..".
std::string clean_path(const std::string& path);
/// A path without ".tar", ".tar.gz" and the like.
std::string without_archive_suffix(const std::string& path);
/// True where the bytes begin like a tar or like one of the compressions read here.
bool looks_like_archive(std::span<const std::uint8_t> head);
/// True for names of JPEG and PNG files, whose content is not looked at before it is decoded.
bool has_image_suffix(const std::string& path);
/// Litter that every import passes over: hidden files and folders (a name with a leading dot), __MACOSX, Thumbs.db,
/// desktop.ini.
bool is_litter(const std::string& path);

}  // namespace langrun
