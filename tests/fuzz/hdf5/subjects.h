// The HDF5 files that are mutated: small ones of every kind, by langrun's own writers, and what its readers say of
// them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace langrun::mutations {

/// One file, whole.
struct Subject {
  std::string name;
  std::string bytes;  ///< of the file
  std::string file;   ///< its name within a folder
  /// Writes what else stands beside it, undamaged, into a folder.
  std::function<void(const std::filesystem::path& folder)> surround;
  /// Everything that the reader gives of the file in the folder, as text. Throws Error as the reader does.
  std::function<std::string(const std::filesystem::path& folder)> content;
};

/// All kinds, made in `scratch`: a store, a shard and the index of another, weights, statistics, records of an
/// evaluation, a lane of a bank and weights within a checkpoint, a saved block and the table of a sampling's chains.
std::vector<Subject> make_subjects(const std::filesystem::path& scratch);

}  // namespace langrun::mutations
