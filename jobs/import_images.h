// `data import`: images of a source, decoded, fitted and stored, each rank its share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/image_source.h"
#include "jobs/build_store.h"
#include "jobs/fit_image.h"

namespace langrun {

struct ImportSettings {
  std::filesystem::path source;
  std::filesystem::path out;
  SourceSettings find;
  FitSettings fit;            ///< with `compare_every` 0: as import_images thinks best
  std::int64_t threads = 0;   ///< of each rank; 0: all cores, shared by the ranks of a host
  bool skip_damaged = false;  ///< damaged images are left out and counted instead of stopping the import
};

struct ImportResult {
  BuildResult store;
  std::vector<std::string> classes;
  StoreRecord record;                 ///< what the store says of itself
  std::uint64_t train = 0, test = 0;  ///< images of the source under these parts, whichever were taken
};

/// Imports on all ranks (collective; see build_store). The stored images and labels are the same for any number of
/// ranks and threads; an image's index counts all images of the source in order, damaged ones too. Throws Error on all
/// ranks alike: usage for settings that do not go together or an existing OUT, input for a source that is missing,
/// damaged, of no or of several sizes, storage where OUT cannot be written. A failed import leaves nothing behind.
ImportResult import_images(Communicator& world, const ImportSettings& settings, const BuildNotes& notes);

}  // namespace langrun
