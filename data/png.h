// PNG encoding (libpng). Reading is with the other image codecs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace langrun {

/// A picture as PNG bytes. `pixels` is uint8 [height, width, channels], channels 1 (grey) or 3 (RGB).
/// The same pixels give the same bytes on the same libpng. Throws Error(internal) where sizes do not fit together.
std::vector<std::uint8_t> encode_png(std::int64_t width, std::int64_t height, int channels,
                                     std::span<const std::uint8_t> pixels);

/// encode_png into a file, whole or not at all; an older picture of that name is replaced.
/// Throws Error(storage) where it cannot be written.
void write_png(const std::filesystem::path& path, std::int64_t width, std::int64_t height, int channels,
               std::span<const std::uint8_t> pixels);

}  // namespace langrun
