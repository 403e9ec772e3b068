#include <fmt/format.h>

#include <map>
#include <vector>

#include "core/error.h"
#include "core/torch.h"
#include "data/hdf5.h"
#include "data/image_source.h"
#include "data/image_store.h"
#include "data/loader.h"
#include "jobs/finite_source.h"
#include "jobs/fit_image.h"

namespace langrun {
namespace {

void check_size(const std::string& what, const ImageShape& found, const ImageShape& image, const char* hint) {
  if (found == image) return;
  throw Error(ExitCode::input,
              fmt::format("{} is {}x{} of {} channels, the energy takes {}x{} of {}", what, found.height, found.width,
                          found.channels, image.height, image.width, image.channels),
              hint);
}

/// Encoded images of a folder or tar, decoded when a chain begins with them.
class EncodedImages final : public FiniteSource {
 public:
  EncodedImages(const std::filesystem::path& path, bool resize, const ImageShape& image)
      : image_(image), resize_(resize), fitter_(settings(resize, image)), source_(find_images(path)) {}

  std::int64_t count() const override { return static_cast<std::int64_t>(source_.entries.size()); }

  FreshChains fresh(const std::vector<std::uint64_t>& slots, std::int64_t, NoiseKey) override {
    auto images = torch::empty({std::ssize(slots), image_.channels, image_.height, image_.width},
                               torch::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast));
    const std::span values(images.mutable_data_ptr<float>(), static_cast<std::size_t>(images.numel()));
    const auto each = static_cast<std::size_t>(image_.elements());
    std::map<std::uint64_t, std::vector<std::size_t>> rows;  // of the call, by entry
    for (std::size_t row = 0; row < slots.size(); ++row) rows[slots[row] % source_.entries.size()].push_back(row);
    read(rows, [&](std::size_t row) { return values.subspan(row * each, each); });
    return {images, torch::empty({std::ssize(slots), 0})};
  }

  std::string description() const override {
    return fmt::format("images of {}{}", source_.root.string(), resize_ ? ", resized" : "");
  }

 private:
  static FitSettings settings(bool resize, const ImageShape& image) {
    FitSettings fit;
    if (resize) fit.size = image.height;
    return fit;
  }

  // All of a call by one reader: each has to unpack a compressed tar from its beginning.
  template <typename ValuesOf>
  void read(const std::map<std::uint64_t, std::vector<std::size_t>>& rows, const ValuesOf& values_of) {
    std::vector<std::uint64_t> entries;
    for (const auto& [entry, of] : rows) entries.push_back(entry);
    SourceReader reader(source_, entries);
    SourceReader::Item item;
    std::size_t read = 0;
    for (; reader.next(item); ++read) {
      const auto pixels = fitted(item);
      for (const auto row : rows.at(item.index)) to_unit_range(pixels, image_, Layout::pixel_major, values_of(row));
    }
    if (read < entries.size())
      throw Error(ExitCode::input, fmt::format("{}: {} of {} images from {} on can be read", source_.root.string(),
                                               read, entries.size(), source_.name_of(source_.entries[entries.front()])));
  }

  std::vector<std::uint8_t> fitted(SourceReader::Item& item) {
    const auto& entry = source_.entries[item.index];
    auto fitted = fitter_.fit(entry, item);
    if (fitted.failure) {
      try {
        std::rethrow_exception(fitted.failure);
      } catch (const Error& error) {
        throw Error(error.code(), fmt::format("{}: {}", source_.name_of(entry), error.what()), error.hint());
      }
    }
    check_size(source_.name_of(entry), fitted.shape, image_,
               resize_ ? "choose an energy for such images" : "--resize fits images to the energy");
    return std::move(fitted.pixels);
  }

  ImageShape image_;
  bool resize_;
  ImageFitter fitter_;
  ImageSource source_;
};

}  // namespace

std::unique_ptr<FiniteSource> make_images_source(const std::filesystem::path& path, bool resize,
                                                 const ImageShape& image) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored) && h5::looks_like_hdf5(path)) {
    if (resize) return make_resized_store_source(path.string(), image);
    check_size(path, ImageStore::open(path, Accept::any_type).shape(), image, "--resize fits images to the energy");
    return make_store_source(path.string(), image, std::nullopt);
  }
  return std::make_unique<EncodedImages>(path, resize, image);
}

}  // namespace langrun
