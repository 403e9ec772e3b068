// Chains that begin with images somebody has: a store's, a bank's, a folder's. Chain i begins with image i.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/images.h"
#include "jobs/chain_source.h"

namespace langrun {

/// A source of a limited number of chains. `fresh` knows neither step nor key; slots behind the last begin from the
/// front again, for calls that are filled up.
class FiniteSource : public ChainSource {
 public:
  virtual std::int64_t count() const = 0;
};

/// Every image of a store once; with a seed in an order drawn by it, since stores are sorted by class. Throws
/// Error(input) where it is missing, damaged or of another size than `image`.
std::unique_ptr<FiniteSource> make_store_source(const std::string& store, const ImageShape& image,
                                                std::optional<std::uint64_t> seed);

/// The same in the store's own order, of a store of any size, its images brought to `image`: short side, then the middle;
/// grey ones become three equal channels. Throws Error(input) where it is missing, damaged or not of 8-bit images.
std::unique_ptr<FiniteSource> make_resized_store_source(const std::string& store, const ImageShape& image);

/// The chains of a bank's snapshot, slot by slot: `checkpoint` is a folder with bank-<lane>.h5 of every lane. `group`
/// is bank, update, burn_in, or auto: the first of these that is there. Throws Error(input) where there is none, a lane
/// is missing, or its images are of another size than `image`.
std::unique_ptr<FiniteSource> make_bank_source(const std::filesystem::path& checkpoint, const std::string& group,
                                               const ImageShape& image);

/// A folder or tar of images, in the order of `data import`, or a store, in its own order. With `resize` images go to the
/// energy's size (short side, then the middle). Throws Error(input) where there are none; `fresh`
/// where one is damaged, or of another size than `image` and not to be resized.
std::unique_ptr<FiniteSource> make_images_source(const std::filesystem::path& path, bool resize,
                                                 const ImageShape& image);

}  // namespace langrun
