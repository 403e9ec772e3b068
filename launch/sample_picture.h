// The first samples as a picture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/images.h"
#include "jobs/sample_config.h"

namespace langrun::launch {

/// Bytes of the images that a picture shows.
std::int64_t pictured_bytes(const ImageShape& image);
/// Appends from `images` until `shown` holds `most` values.
void show_more(std::vector<std::uint8_t>& shown, const std::vector<std::uint8_t>& images, std::int64_t most);
/// Writes a grid of 8-bit images [n, H, W, C], or a histogram of points of the plane (bytes of float32), as PNG, titled
/// with weights, checkpoint and langevin.steps, whole or not at all. Throws Error(storage).
void draw_samples(const SampleConfig& config, const ImageShape& shape, const std::vector<std::uint8_t>& images,
                  const std::filesystem::path& path);

}  // namespace langrun::launch
