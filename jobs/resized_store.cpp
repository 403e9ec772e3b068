#include <fmt/format.h>

#include "core/error.h"
#include "core/resize.h"
#include "core/torch.h"
#include "data/image_store.h"
#include "data/loader.h"
#include "jobs/finite_source.h"

namespace langrun {
namespace {

/// A store whose images are brought to another size: short side, then the middle; grey ones to three equal channels.
class ResizedStore final : public FiniteSource {
 public:
  ResizedStore(const std::string& path, const ImageShape& image) : image_(image), store_(ImageStore::open(path)) {
    const auto channels = store_.shape().channels;
    if (channels != image.channels && channels != 1)
      throw Error(ExitCode::input,
                  fmt::format("{} has images of {} channels, the energy takes {}", path, channels, image.channels),
                  "choose an energy for such images");
  }

  std::int64_t count() const override { return static_cast<std::int64_t>(store_.count()); }

  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t, NoiseKey) override {
    std::vector<std::uint64_t> indices;
    for (const auto slot : slots) indices.push_back(slot % store_.count());
    std::vector<std::uint8_t> stored(indices.size() * store_.image_bytes());
    store_.read(indices, stored);
    auto images = torch::empty({std::ssize(slots), image_.channels, image_.height, image_.width},
                               torch::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast));
    const std::span values(images.mutable_data_ptr<float>(), static_cast<std::size_t>(images.numel()));
    const auto each = static_cast<std::size_t>(image_.elements());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto pixels = fitted(std::span(stored).subspan(i * store_.image_bytes(), store_.image_bytes()));
      to_unit_range(pixels, image_, Layout::pixel_major, values.subspan(i * each, each));
    }
    return {images, torch::empty({std::ssize(slots), 0})};
  }

  std::string description() const override { return fmt::format("images of {}, resized", store_.path().string()); }

 private:
  std::vector<std::uint8_t> fitted(std::span<const std::uint8_t> stored) const {
    const auto shape = store_.shape();
    const Raster raster{shape.height, shape.width, shape.channels, {stored.begin(), stored.end()}};
    const auto extent = short_side_extent(shape.height, shape.width, image_.height);
    check_resized_extent(shape.height, shape.width, extent);
    const auto offset = center_crop(extent, image_.height);
    Raster window;
    resize_window(raster, extent, {offset.top, offset.left, image_.height, image_.width}, window);
    if (window.channels == image_.channels) return std::move(window.pixels);
    std::vector<std::uint8_t> equal;
    for (const auto value : window.pixels) equal.insert(equal.end(), static_cast<std::size_t>(image_.channels), value);
    return equal;
  }

  ImageShape image_;
  ImageStore store_;
};

}  // namespace

std::unique_ptr<FiniteSource> make_resized_store_source(const std::string& store, const ImageShape& image) {
  return std::make_unique<ResizedStore>(store, image);
}

}  // namespace langrun
