#include "launch/sample_picture.h"

#include <fmt/format.h>

#include <cstring>

#include "jobs/points_panel.h"
#include "launch/grid.h"

namespace langrun::launch {
namespace {

std::string title_of(const SampleConfig& config) {
  return fmt::format("{} weights, step {}, K {}", config.weights,
                     config.weights == "initial" ? "0" : config.checkpoint.filename().string(), config.langevin.steps);
}

}  // namespace

std::int64_t pictured_bytes(const ImageShape& image) {
  return pictured_images(image) * static_cast<std::int64_t>(sample_bytes(image));
}

void show_more(std::vector<std::uint8_t>& shown, const std::vector<std::uint8_t>& images, std::int64_t most) {
  const auto wanted = static_cast<std::size_t>(most);
  if (shown.size() >= wanted) return;
  const auto taken = std::min(images.size(), wanted - shown.size());
  shown.insert(shown.end(), images.begin(), images.begin() + static_cast<std::ptrdiff_t>(taken));
}

void draw_samples(const SampleConfig& config, const ImageShape& shape, const std::vector<std::uint8_t>& images,
                  const std::filesystem::path& path) {
  if (are_points(shape)) {
    std::vector<float> points(images.size() / sizeof(float));
    std::memcpy(points.data(), images.data(), images.size());
    const auto panel = points_panel(title_of(config), points);
    write_png(path, draw_grid({{panel.title, panel.pixels, 1, {3, panel.height, panel.width}, true}}));
    return;
  }
  std::vector<float> pixels;
  for (const auto byte : images) pixels.push_back(static_cast<float>(byte) / 127.5f - 1.0f);
  const auto count = static_cast<std::int64_t>(images.size()) / shape.elements();
  write_png(path, draw_grid({{title_of(config), pixels, count, shape, true}}));
}

}  // namespace langrun::launch
