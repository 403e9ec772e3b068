// `data import`: images of a source, decoded, fitted and stored, each rank its share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/image_source.h"
#include "jobs/build_store.h"

namespace langrun {

struct ImportSettings {
  std::filesystem::path source;
  std::filesystem::path out;
  SourceSettings find;
  std::int64_t size = 0;         ///< S of the S x S images; 0 takes them as they are, which must be of one size
  bool random_crop = false;      ///< crops keyed by (seed, index of the image) instead of the middle
  std::int64_t crop_copies = 1;  ///< random crops per image, each keyed differently, next to each other in the store
  std::uint64_t seed = 0;
  bool scaled_decoding = false;  ///< JPEGs may be decoded at a fraction: faster, not the same bits
  bool skip_damaged = false;     ///< damaged images are left out and counted instead of stopping the import
};

struct ImportResult {
  BuildResult store;
  std::vector<std::string> classes;
  std::uint64_t train = 0, test = 0;  ///< images of the source under these parts, whichever were taken
};

/// Imports on all ranks (collective; see build_store). The stored images and labels are the same for any number of
/// ranks; an image's index counts all images of the source in order, damaged ones too. Throws Error on all ranks alike:
/// usage for settings that do not go together or an existing OUT, input for a source that is missing, damaged, of no or
/// of several sizes, storage where OUT cannot be written. A failed import leaves nothing behind.
ImportResult import_images(Communicator& world, const ImportSettings& settings, const BuildNotes& notes);

}  // namespace langrun
