#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/noise.h"
#include "data/codecs.h"
#include "data/image_store.h"
#include "data/loader.h"
#include "data/synth.h"
#include "distributed/agreement.h"
#include "jobs/bench.h"
#include "jobs/bench_folder.h"
#include "jobs/import_images.h"

namespace langrun {
namespace {

namespace fs = std::filesystem;

constexpr int kDrawn = 16, kFiles = 256;
constexpr std::int64_t kHeight = 375, kWidth = 500;  // the most frequent extent of ImageNet

/// A drawn scene with grain, so that it takes about as many bytes as a photograph (110 KB).
std::vector<std::uint8_t> photograph(std::uint64_t index) {
  auto image = synthetic_image(1, index, kWidth);
  image.height = kHeight;
  image.pixels.resize(image.bytes());
  std::vector<float> grain(image.bytes());
  fill_normal(noise_key(1, Stream::data_noise), {index, 0}, grain);
  for (std::size_t i = 0; i < grain.size(); ++i)
    image.pixels[i] =
        static_cast<std::uint8_t>(std::clamp(static_cast<float>(image.pixels[i]) + 9 * grain[i], 0.0F, 255.0F));
  return encode_jpeg(image, 92);
}

void draw_photographs(const fs::path& folder) {
  fs::create_directories(folder);
  for (int drawn = 0; drawn < kDrawn; ++drawn) {
    const auto bytes = photograph(static_cast<std::uint64_t>(drawn));
    for (int copy = drawn; copy < kFiles; copy += kDrawn) {
      std::ofstream file(folder / fmt::format("{:03}.jpg", copy), std::ios::binary);
      file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      if (!file.flush()) throw Error(ExitCode::storage, fmt::format("cannot write to {}", folder.string()));
    }
  }
}

void remove_store(const fs::path& store) {
  std::error_code ignored;
  fs::remove(store, ignored);
  fs::remove_all(store.string() + ".d", ignored);
}

/// Reads batches in random order, as training does.
BenchFigure measure_loader(const fs::path& path, const BenchConfig& config, Communicator& world) {
  const auto store = ImageStore::open(path);
  LoaderSettings settings;
  settings.batch = config.batch * world.size();
  settings.lanes = world.size();
  settings.own = {world.rank()};
  Loader loader(store, settings);
  return measure_in_turns({{fmt::format("loader, batches of {} a rank", config.batch),
                            static_cast<double>(config.batch), [&] { (void)loader.next(); }}},
                          "images/s", config.repeats, 0.2, world)
      .front();
}

}  // namespace

BenchReport bench_import(const BenchConfig& config, Communicator& world) {
  const BenchFolder scratch(world, "");
  ImportSettings settings;
  settings.source = config.source.empty() ? scratch.path() / "photographs" : fs::path(config.source);
  settings.out = scratch.path() / "store.h5";
  settings.fit.size = config.size;
  settings.threads = config.threads;
  agree(world, "draw photographs", [&] {
    if (world.rank() == 0 && config.source.empty()) draw_photographs(settings.source);
  });
  const auto import = [&](bool scaled) {
    if (world.rank() == 0) remove_store(settings.out);
    world.barrier("old store removed");
    settings.fit.scaled_decoding = scaled;
    return import_images(world, settings, {}).store.images;
  };
  const auto images = static_cast<double>(import(false));
  double bytes = 0;
  agree(world, "size of the source", [&] {
    for (const auto& entry : find_images(settings.source).entries) bytes += static_cast<double>(entry.size);
  });
  BenchReport report{"import",
                     {{"source", config.source.empty() ? "375 x 500 JPEGs of its own" : config.source},
                      {"images", fmt::format("{:.0f}", images)},
                      {"bytes", fmt::format("{:.0f}", bytes / images)},
                      {"size", std::to_string(config.size)},
                      {"ranks", std::to_string(world.size())},
                      {"threads", std::to_string(config.threads)}},
                     {},
                     {}};
  const double share = images / world.size();
  report.figures = measure_in_turns({{"import, full decoding", share, [&] { import(false); }},
                                     {"import, scaled decoding", share, [&] { import(true); }}},
                                    "images/s", config.repeats, 0.3, world);
  report.ratios.push_back(ratio_of(report.figures[1], report.figures[0]));
  for (std::size_t i : {0, 1}) {
    auto read = report.figures[i];
    read.what += ", bytes in";
    read.unit = "bytes/s";
    for (auto* values : {&read.values, &read.per_core_second})
      for (auto& value : *values) value *= bytes / images;
    report.figures.push_back(std::move(read));
  }
  report.figures.push_back(measure_loader(settings.out, config, world));
  world.barrier("benchmark read its store");
  return report;
}

}  // namespace langrun
