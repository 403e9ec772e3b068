// What guards the content of an image store: a checksum of each image, in /checksums, and one of everything else that
// the store says, in its attribute `content`. Stores are too large to be read whole when they are opened, so an image
// is checked when it is read, and the rest at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5.h"

namespace langrun {

/// 64-bit XXH3 of one image's bytes, [H, W, C].
std::uint64_t image_checksum(std::span<const std::uint8_t> image);

/// Writes /checksums, one for each row of /images.
void write_image_checksums(h5::File& file, const std::vector<std::uint64_t>& checksums);
/// /checksums of `rows` images; nothing where the file has none. Throws Error(input) where it does not fit.
std::optional<std::vector<std::uint64_t>> read_image_checksums(const h5::File& file, std::uint64_t rows);

/// 128-bit XXH3 of what a store says, whatever files it lies in: type and extents of /images, the checksum of each, all
/// labels, and every attribute of the root but `content`. Throws Error(input) where something cannot be read.
std::string store_content(const h5::File& file, std::span<const std::uint64_t> checksums);

}  // namespace langrun
