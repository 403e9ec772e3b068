#include "launch/sample_picture.h"

#include <fmt/format.h>

#include "launch/grid.h"

namespace langrun::launch {

void show_more(std::vector<std::uint8_t>& shown, const std::vector<std::uint8_t>& images, std::int64_t most) {
  const auto wanted = static_cast<std::size_t>(most);
  if (shown.size() >= wanted) return;
  const auto taken = std::min(images.size(), wanted - shown.size());
  shown.insert(shown.end(), images.begin(), images.begin() + static_cast<std::ptrdiff_t>(taken));
}

void draw_samples(const SampleConfig& config, const ImageShape& shape, const std::vector<std::uint8_t>& images,
                  const std::filesystem::path& path) {
  std::vector<float> pixels;
  for (const auto byte : images) pixels.push_back(static_cast<float>(byte) / 127.5f - 1.0f);
  const auto count = static_cast<std::int64_t>(images.size()) / shape.elements();
  const auto title =
      fmt::format("{} weights, step {}, K {}", config.weights,
                  config.weights == "initial" ? "0" : config.checkpoint.filename().string(), config.langevin.steps);
  write_png(path, draw_grid({{title, pixels, count, shape, true}}));
}

}  // namespace langrun::launch
