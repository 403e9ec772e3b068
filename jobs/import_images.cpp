#include "jobs/import_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "core/error.h"
#include "core/resize.h"
#include "core/torch.h"
#include "distributed/agreement.h"

namespace langrun {
namespace {

// Few enough that a failure anywhere stops all ranks within seconds, enough that agreeing costs nothing.
constexpr int kImagesPerRound = 256;

void check(const ImportSettings& settings) {
  const auto fail = [](const std::string& what) {
    throw Error(ExitCode::usage, what, "--size S is the side of the square images that come out");
  };
  if (settings.size == 0 && settings.random_crop) fail("--crop random without --size");
  if (settings.size == 0 && settings.scaled_decoding) fail("--scaled-decoding without --size");
  if (settings.crop_copies > 1 && !settings.random_crop)
    throw Error(ExitCode::usage, fmt::format("--crop-copies {} without --crop random", settings.crop_copies),
                "centre crops are all alike");
}

/// This rank's part of the work. A row is one crop; image i has rows i * copies .. (i + 1) * copies - 1.
class Importer {
 public:
  Importer(const ImportSettings& settings, const ImageSource& source, std::uint64_t first, std::uint64_t last)
      : settings_(settings), source_(source), first_(first), reader_(source, first, last), left_(last - first) {}

  BuildRound produce(ShardWriter& writer) {
    BuildRound round;
    SourceReader::Item item;
    for (int n = 0; n < kImagesPerRound && left_ > 0 && reader_.next(item); ++n, --left_) take(item, writer, round);
    round.finished = left_ == 0;
    round.first_image = first_image_;
    return round;
  }

 private:
  void take(const SourceReader::Item& item, ShardWriter& writer, BuildRound& round) {
    const auto& entry = source_.entries[item.index];
    const auto copies = static_cast<std::uint64_t>(settings_.crop_copies);
    round.done += copies;
    std::vector<Raster> rasters;
    try {
      rasters = fit(item);
    } catch (const Error& error) {
      const auto what = fmt::format("{}: {}", source_.name_of(entry), error.what());
      if (error.code() != ExitCode::input || !settings_.skip_damaged)
        throw Error(error.code(), what, error.hint().empty() ? "--skip-damaged leaves such images out" : error.hint());
      round.damaged.push_back(what);
      for (std::uint64_t c = 0; c < copies; ++c) round.left_out.push_back(item.index * copies + c);
      return;
    }
    for (std::uint64_t c = 0; c < copies; ++c) {
      const auto& raster = rasters[c];
      const ImageShape shape{raster.channels, raster.height, raster.width};
      if (writer.shape() && shape != *writer.shape())
        throw Error(ExitCode::input,
                    fmt::format("{}: {} x {} pixels, but {} has {} x {}", source_.name_of(entry), raster.height,
                                raster.width, first_image_, writer.shape()->height, writer.shape()->width),
                    "--size S brings all images to one size");
      if (!writer.shape()) first_image_ = source_.name_of(entry);
      writer.put((item.index - first_) * copies + c, shape, raster.pixels);
    }
  }

  /// The image as it is stored: one raster, or one per crop.
  std::vector<Raster> fit(const SourceReader::Item& item) const {
    const auto size = settings_.size;
    auto raster = decode_entry(source_.entries[item.index], item.bytes, {settings_.scaled_decoding ? size : 0});
    if (size == 0) return {std::move(raster)};
    const auto extent = short_side_extent(raster.height, raster.width, size);
    const auto resized = resize(raster, extent);
    if (!settings_.random_crop) return {crop(resized, center_crop(extent, size), size)};
    std::vector<Raster> crops;
    for (std::int64_t c = 0; c < settings_.crop_copies; ++c)
      crops.push_back(
          crop(resized, random_crop(extent, size, settings_.seed, item.index, static_cast<std::uint32_t>(c)), size));
    return crops;
  }

  const ImportSettings& settings_;
  const ImageSource& source_;
  std::uint64_t first_;
  SourceReader reader_;
  std::uint64_t left_;
  std::string first_image_;
};

/// Every rank looks for itself; a shared disk that shows them different folders must not end in mixed-up rows.
ImageSource find_alike(Communicator& world, const ImportSettings& settings) {
  ImageSource source;
  agree(world, "find images", [&] { source = find_images(settings.source, settings.find); });
  const auto print = std::bit_cast<std::int64_t>(source.fingerprint() >> 1);
  std::array<std::int64_t, 2> extremes{print, -print};
  world.maximum("compare sources", extremes);
  if (extremes[0] != -extremes[1])
    throw Error(ExitCode::input, fmt::format("{} does not look the same on all ranks", settings.source.string()),
                "it must be on a file system that all hosts share, and must not change meanwhile");
  return source;
}

StoreRecord record_of(const ImportSettings& settings) {
  StoreRecord record;
  // A folder may be given as "x/" or ".".
  const auto whole = std::filesystem::absolute(settings.source).lexically_normal();
  record.source = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  record.size = settings.size;
  record.crop = settings.size == 0 ? "none" : settings.random_crop ? "random" : "center";
  record.crop_copies = settings.crop_copies;
  record.seed = static_cast<std::int64_t>(settings.seed);
  record.scaled_decoding = settings.scaled_decoding;
  using Split = SourceSettings::Split;
  record.split = settings.find.split == Split::train ? "train" : settings.find.split == Split::test ? "test" : "all";
  return record;
}

}  // namespace

ImportResult import_images(Communicator& world, const ImportSettings& settings, const BuildNotes& notes) {
  check(settings);
  // Ranks are the parallel workers here; a pool of threads behind each resize would only get in their way.
  at::set_num_threads(1);
  const auto source = find_alike(world, settings);
  if (!source.foreign.empty() && !settings.skip_damaged)
    throw Error(ExitCode::input, fmt::format("{}: not an image: {}", settings.source.string(), source.foreign.front()),
                "remove it, or leave such files out with --skip-damaged");
  if (world.rank() == 0 && notes.warn)
    for (const auto& name : source.foreign)
      notes.warn(fmt::format("{}: not an image: {}; left out", settings.source.string(), name));

  const auto images = static_cast<std::uint64_t>(source.entries.size()),
             copies = static_cast<std::uint64_t>(settings.crop_copies);
  const auto first = share_begin(images, world.rank(), world.size()),
             last = share_begin(images, world.rank() + 1, world.size());
  Importer importer(settings, source, first, last);
  BuildPlan plan;
  plan.own_first = first * copies;
  plan.own_last = last * copies;
  plan.out = settings.out;
  plan.rows = images * copies;
  plan.classes = source.classes;
  plan.record = record_of(settings);
  plan.record.skipped = static_cast<std::int64_t>(source.foreign.size());
  plan.label = [&](std::uint64_t row) { return static_cast<std::int64_t>(source.entries[row / copies].label); };
  plan.produce = [&](ShardWriter& writer) { return importer.produce(writer); };
  return {build_store(world, plan, notes), source.classes, source.train, source.test};
}

}  // namespace langrun
