// data import, data synth, data info: options in, one or a few lines out.
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <span>

#include "core/error.h"
#include "data/image_store.h"
#include "distributed/agreement.h"
#include "jobs/import_images.h"
#include "jobs/synthesize.h"
#include "launch/commands.h"
#include "launch/equal_ranks.h"
#include "launch/options.h"
#include "launch/questions.h"
#include "launch/run_watch.h"

namespace langrun::launch {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kSecondsBetweenNotes = 5;
constexpr std::int64_t kLargestSide = 4096;

/// A line every few seconds while a store is made; warnings at once.
BuildNotes notes_every_few_seconds(const std::string& what) {
  BuildNotes notes;
  notes.warn = [](const std::string& text) { fmt::print(stderr, "langrun: warning: {}\n", text); };
  notes.progress = [what, start = Clock::now(), last = Clock::now()](std::uint64_t done, std::uint64_t total) mutable {
    const auto now = Clock::now();
    if (std::chrono::duration<double>(now - last).count() < kSecondsBetweenNotes || done == total) return;
    last = now;
    const double seconds = std::chrono::duration<double>(now - start).count();
    fmt::print(stderr, "{}: {} of {} images, {:.0f} a second\n", what, done, total,
               static_cast<double>(done) / seconds);
  };
  return notes;
}

std::string extent_text(const ImageShape& shape) {
  return fmt::format("{} x {} x {}", shape.height, shape.width, shape.channels);
}

/// Image `index` as numbers, [H, W, C]: of bytes as they are, 0 .. 255.
std::vector<double> values_of(const ImageStore& store, std::uint64_t index) {
  std::vector<std::uint8_t> image(store.image_bytes());
  store.read({&index, 1}, image);
  if (store.pixels() == Pixels::bytes) return {image.begin(), image.end()};
  std::vector<float> floats(image.size() / sizeof(float));
  std::memcpy(floats.data(), image.data(), image.size());
  return {floats.begin(), floats.end()};
}

/// Channel means and standard deviations over images spread evenly; of bytes, of pixels as 0 .. 1.
std::string statistics(const ImageStore& store, std::uint64_t most) {
  const auto count = most == 0 ? store.count() : std::min(store.count(), most);
  const auto channels = static_cast<std::size_t>(store.shape().channels);
  // Sums of bytes and of their squares are whole numbers, exact in float64.
  std::vector<double> sums(channels, 0), squares(channels, 0);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto image = values_of(store, i * store.count() / count);
    for (std::size_t at = 0; at < image.size(); ++at) {
      sums[at % channels] += image[at];
      squares[at % channels] += image[at] * image[at];
    }
  }
  const bool bytes = store.pixels() == Pixels::bytes;
  const double unit = bytes ? 255.0 : 1.0;
  const double pixels =
      static_cast<double>(count) * static_cast<double>(store.shape().elements()) / static_cast<double>(channels) * unit;
  std::string means, deviations;
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = sums[c] / pixels;
    means += fmt::format(" {:.4f}", mean);
    deviations += fmt::format(" {:.4f}", std::sqrt(std::max(0.0, squares[c] / (pixels * unit) - mean * mean)));
  }
  return fmt::format("mean       {}\ndeviation  {}   ({}, over {} images)\n", means, deviations,
                     bytes ? "pixels as 0 to 1" : "values as they are", count);
}

/// A checksum of all images and labels in their order, whatever files they lie in.
std::string content_checksum(const ImageStore& store) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<std::uint8_t> image(store.image_bytes());
  for (std::uint64_t index = 0; index < store.count(); ++index) {
    store.read({&index, 1}, image);
    XXH3_128bits_update(state.get(), image.data(), image.size());
  }
  const auto labels = store.labels();
  XXH3_128bits_update(state.get(), labels.data(), labels.size() * sizeof(labels[0]));
  const auto digest = XXH3_128bits_digest(state.get());
  return fmt::format("content     {:016x}{:016x}\n", digest.high64, digest.low64);
}

/// What scaled decoding did to a store's pixels.
std::string scaled_text(const StoreRecord& record) {
  if (record.scaled_images == 0) return "scaled where an image is large enough: none was, so all are decoded in full";
  return fmt::format(
      "{} images decoded at a fraction; largest difference from full decoding {} of 255 levels, mean {:.3f} "
      "({} compared)",
      record.scaled_images, record.scaled_largest_difference, record.scaled_mean_difference, record.scaled_compared);
}

std::string describe(const ImageStore& store, std::uint64_t most) {
  const auto& record = store.record();
  std::string text =
      fmt::format("{}: {} images of {} (height x width x channels), {}", store.path().string(), store.count(),
                  extent_text(store.shape()), store.pixels() == Pixels::bytes ? "uint8" : "float32");
  text += store.shards() > 1 ? fmt::format(", in {} shards\n", store.shards()) : "\n";
  if (!record.source.empty()) {
    text += fmt::format("source      {} ({}), {} left out as damaged\n", record.source, record.split, record.skipped);
    text += fmt::format("crop        {}", record.crop);
    if (record.size > 0)
      text += fmt::format(", size {}, {} per image, seed {}", record.size, record.crop_copies, record.seed);
    text += "\n";
    if (record.scaled_decoding) text += "decoding    " + scaled_text(record) + "\n";
  }
  text += statistics(store, most);
  std::vector<std::uint64_t> counts(store.classes().size(), 0);
  for (const auto label : store.labels()) ++counts[static_cast<std::size_t>(label)];
  text += fmt::format("classes     {}\n", counts.size());
  for (std::size_t c = 0; c < counts.size(); ++c)
    text += fmt::format("  {:>4}  {:<24} {}\n", c, store.classes()[c], counts[c]);
  return text;
}

void print_result(const std::string& out, const BuildResult& result, std::size_t classes, Clock::time_point start) {
  const auto seconds = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print("{}: {} images of {}, {} classes, {} left out, {:.1f} s\n", out, result.images, extent_text(result.shape),
             classes, result.skipped, seconds);
}

}  // namespace

int run_data_import(Call& call) {
  const auto start = Clock::now();
  std::string source, out, crop = "center", class_from = "folder", split = "all";
  std::int64_t seed = 0;
  ImportSettings settings;
  OptionTable table("data import");
  table.positional(
      "SOURCE", source,
      "a folder of images in class folders, a tar of such (or of tars; one folder around all is passed "
      "over), a flat folder "
      "or tar, CIFAR binary files, an IDX file of images (MNIST's) beside its labels, or a folder or tar of those");
  table.positional("OUT", out, "the image store to write; must not exist");
  table.integer("size", settings.fit.size, "pixels",
                "short side is resized to this, then a square is cropped; 0: images as they are", {0, kLargestSide});
  table.choice("crop", crop, {"center", "random"}, "which square is kept");
  table.integer("crop-copies", settings.fit.crop_copies, "crops",
                "random crops per image, next to each other in the store", {1, 1'000'000});
  table.integer("seed", seed, "", "key of random crops", {0, std::numeric_limits<std::int64_t>::max()});
  table.flag("rgb", settings.fit.rgb,
             "grey images, which IDX files hold, with three equal channels, as the built-in networks take them");
  table.flag("scaled-decoding", settings.fit.scaled_decoding,
             "decode JPEGs of at least twice the size at 1/2, 1/4 or 1/8: faster, other pixels; the store records it "
             "and how far they are from full decoding");
  table.integer("threads", settings.threads, "threads",
                "decoding, of each rank; 0: all cores, shared by the ranks of a host; the store is the same with any",
                {0, 4096});
  table.flag("skip-damaged", settings.skip_damaged,
             "leave damaged images and other files out, name and count them, instead of stopping");
  table.choice("class-from", class_from, {"folder", "name"},
               "classes from class folders, or from file names up to the first '_'");
  table.choice("split", split, {"all", "train", "test"},
               "which part, where the source has train and test folders or files");
  const std::string summary =
      "Images of a folder, tar, CIFAR binary or IDX files into an image store; under mpirun, shared among the ranks.";
  table.parse(call.arguments);
  if (answer_questions(call, table, summary)) return 0;
  refuse_unequal_ranks(call.world, table);
  settings.source = source;
  settings.out = out;
  settings.fit.random_crop = crop == "random";
  settings.fit.seed = static_cast<std::uint64_t>(seed);
  if (class_from == "name") settings.find.class_from = SourceSettings::ClassFrom::name;
  using Split = SourceSettings::Split;
  settings.find.split = split == "train" ? Split::train : split == "test" ? Split::test : Split::all;
  const OutputWatch watch(call.world, out);
  const auto result = import_images(call.world, settings, notes_every_few_seconds("data import"));
  if (call.world.rank() != 0) return 0;
  if (split == "all" && result.train > 0 && result.test > 0)
    fmt::print(stderr, "langrun: warning: {} train and {} test images are in one store; --split takes one part\n",
               result.train, result.test);
  print_result(out, result.store, result.classes.size(), start);
  if (result.record.scaled_decoding) fmt::print("scaled decoding: {}\n", scaled_text(result.record));
  return 0;
}

int run_data_synth(Call& call) {
  const auto start = Clock::now();
  SynthSettings settings;
  settings.count = 10000;
  std::string out;
  std::int64_t seed = 0;
  OptionTable table("data synth");
  table.positional("OUT", out, "the image store to write; must not exist");
  table.integer("count", settings.count, "images", "how many", {1, 1'000'000'000});
  table.integer("size", settings.size, "pixels", "side of the square images", {8, kLargestSide});
  table.text("density", settings.density,
             "instead of images, points of a density over the plane, ring or spirals: float32, 1 x 1 of 2 channels");
  table.integer("seed", seed, "", "key of the set", {0, std::numeric_limits<std::int64_t>::max()});
  table.parse(call.arguments);
  if (answer_questions(call, table,
                       "A procedural image set (ten kinds of coloured shapes on textured grounds), or points of a "
                       "density over the plane."))
    return 0;
  if (!settings.density.empty() && table.given("size"))
    throw Error(ExitCode::usage, "--size goes with images, --density makes points", "leave one of them out");
  settings.out = out;
  settings.seed = static_cast<std::uint64_t>(seed);
  const OutputWatch watch(call.world, out);
  const auto result = synthesize(call.world, settings, notes_every_few_seconds("data synth"));
  if (call.world.rank() == 0)
    print_result(out, result, ImageStore::open(out, Accept::any_type).classes().size(), start);
  return 0;
}

int run_data_info(Call& call) {
  std::string path;
  std::int64_t images = 10000;
  bool checksum = false;
  OptionTable table("data info");
  table.positional("FILE", path, "an image store");
  table.integer("images", images, "images", "how many, spread evenly, mean and deviation are taken over; 0: all",
                {0, std::numeric_limits<std::int64_t>::max()});
  table.flag("checksum", checksum,
             "read everything and print a checksum of images and labels, the same however they are sharded");
  table.parse(call.arguments);
  if (answer_questions(call, table,
                       "What an image store holds: extents, classes with counts, how it was made, mean and deviation."))
    return 0;
  const auto text = on_root(call.world, "describe store", [&] {
    const auto store = ImageStore::open(path, Accept::any_type);
    return describe(store, static_cast<std::uint64_t>(images)) + (checksum ? content_checksum(store) : "");
  });
  if (call.world.rank() == 0) fmt::print("{}", text);
  return 0;
}

}  // namespace langrun::launch
