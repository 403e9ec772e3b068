#include "jobs/import_images.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/resize.h"
#include "data/codecs.h"
#include "data/synth.h"
#include "import_support.h"
#include "jobs/synthesize.h"

namespace langrun {
namespace {

using test::code_of;
using test::marked_png;
using test::Octets;
using test::ScratchFolder;
using test::write_file;
constexpr int kInput = static_cast<int>(ExitCode::input);
constexpr int kUsage = static_cast<int>(ExitCode::usage);

ImportResult import_alone(const ImportSettings& settings, std::vector<std::string>* warnings = nullptr) {
  const auto world = make_solo_communicator();
  BuildNotes notes;
  if (warnings != nullptr) notes.warn = [warnings](const std::string& text) { warnings->push_back(text); };
  return import_images(*world, settings, notes);
}

Octets pixels_of(const ImageStore& store, std::uint64_t index) {
  Octets pixels(store.image_bytes());
  store.read({&index, 1}, pixels);
  return pixels;
}

/// Three classes of different sizes; all 8 x 8 but for one.
ImportSettings small_set(const ScratchFolder& scratch, bool odd_one = false) {
  for (std::uint8_t i = 0; i < 5; ++i) write_file(scratch / ("set/b/" + std::to_string(i) + ".png"), marked_png(i));
  write_file(scratch / "set/a/x.png", odd_one ? marked_png(9, 8, 12) : marked_png(9));
  write_file(scratch / "set/c/x.png", marked_png(11));
  ImportSettings settings;
  settings.source = scratch / "set";
  settings.out = scratch / "out.h5";
  return settings;
}

TEST(Import, StoresImagesAsTheyAre) {
  const ScratchFolder scratch;
  const auto result = import_alone(small_set(scratch));
  EXPECT_EQ(result.store.images, 7U);
  const auto store = ImageStore::open(scratch / "out.h5");
  EXPECT_EQ(store.shape(), (ImageShape{3, 8, 8}));
  EXPECT_EQ(store.labels(), (std::vector<std::int64_t>{0, 1, 1, 1, 1, 1, 2}));
  EXPECT_EQ(pixels_of(store, 0), test::marked_raster(9).pixels);
  EXPECT_EQ(pixels_of(store, 4), test::marked_raster(3).pixels);
  EXPECT_EQ(store.record().source, "set");
  EXPECT_EQ(store.record().crop, "none");
}

TEST(Import, UnlikeSizesNameTheFirstThatDiffers) {
  const ScratchFolder scratch;
  const auto settings = small_set(scratch, true);
  std::string message;
  EXPECT_EQ(code_of([&] { import_alone(settings); }, &message), kInput);
  EXPECT_NE(message.find("b/0.png"), std::string::npos) << message;
  EXPECT_NE(message.find("8 x 8"), std::string::npos) << message;
  EXPECT_NE(message.find("8 x 12"), std::string::npos) << message;
  EXPECT_EQ(scratch.entries(), 1U) << "a failed import leaves nothing behind";
}

TEST(Import, SizeResizesAndCrops) {
  const ScratchFolder scratch;
  auto settings = small_set(scratch, true);
  settings.fit.size = 6;
  import_alone(settings);
  const auto store = ImageStore::open(scratch / "out.h5");
  EXPECT_EQ(store.shape(), (ImageShape{3, 6, 6}));
  const auto resized = resize(test::marked_raster(9, 8, 12), {6, 9});
  EXPECT_EQ(pixels_of(store, 0), crop(resized, {0, 2}, 6).pixels);
  EXPECT_EQ(store.record().crop, "center");
  EXPECT_EQ(store.record().size, 6);
}

TEST(Import, RandomCropsAreKeyedByIndexAndCopy) {
  const ScratchFolder scratch;
  auto settings = small_set(scratch, true);
  settings.fit.size = 6;
  settings.fit.random_crop = true;
  settings.fit.crop_copies = 4;
  settings.fit.seed = 3;
  EXPECT_EQ(import_alone(settings).store.images, 28U);
  const auto store = ImageStore::open(scratch / "out.h5");
  const auto resized = resize(test::marked_raster(9, 8, 12), {6, 9});
  for (std::uint32_t copy = 0; copy < 4; ++copy)
    EXPECT_EQ(pixels_of(store, copy), crop(resized, random_crop({6, 9}, 6, 3, 0, copy), 6).pixels);
  EXPECT_EQ(store.labels()[3], 0);
  EXPECT_EQ(store.labels()[4], 1);
  EXPECT_EQ(store.record().crop_copies, 4);
}

TEST(Import, DamagedImagesStopItOrAreLeftOut) {
  const ScratchFolder scratch;
  auto settings = small_set(scratch);
  const auto whole = marked_png(2);
  write_file(scratch / "set/b/2.png", std::span(whole).first(whole.size() / 2));
  write_file(scratch / "set/c/x.png", "hello\n");
  std::string message;
  EXPECT_EQ(code_of([&] { import_alone(settings); }, &message), kInput);
  EXPECT_NE(message.find("b/2.png"), std::string::npos) << message;
  EXPECT_EQ(scratch.entries(), 1U);

  settings.skip_damaged = true;
  std::vector<std::string> warnings;
  const auto result = import_alone(settings, &warnings);
  EXPECT_EQ(result.store.images, 5U);
  EXPECT_EQ(result.store.skipped, 2);
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_NE(warnings[1].find("not an image: text"), std::string::npos) << warnings[1];
  const auto store = ImageStore::open(scratch / "out.h5");
  EXPECT_EQ(store.labels(), (std::vector<std::int64_t>{0, 1, 1, 1, 1}));
  EXPECT_EQ(store.classes().size(), 3U);
  EXPECT_EQ(pixels_of(store, 3), test::marked_raster(3).pixels);
  EXPECT_EQ(store.record().skipped, 2);
}

TEST(Import, AllDamagedIsAnError) {
  const ScratchFolder scratch;
  write_file(scratch / "set/a/x.jpg", "hello\n");
  ImportSettings settings;
  settings.source = scratch / "set";
  settings.out = scratch / "out.h5";
  EXPECT_EQ(code_of([&] { import_alone(settings); }), kInput);
  settings.skip_damaged = true;
  EXPECT_EQ(code_of([&] { import_alone(settings); }), kInput);
  EXPECT_EQ(scratch.entries(), 1U);
}

TEST(Import, RefusesExistingOutputAndOddSettings) {
  const ScratchFolder scratch;
  auto settings = small_set(scratch);
  write_file(scratch / "out.h5", "mine");
  EXPECT_EQ(code_of([&] { import_alone(settings); }), kUsage);
  EXPECT_EQ(std::filesystem::file_size(scratch / "out.h5"), 4U);
  settings.out = scratch / "other.h5";
  settings.fit.random_crop = true;
  EXPECT_EQ(code_of([&] { import_alone(settings); }), kUsage);
  settings.fit.random_crop = false;
  settings.fit.size = 4;
  settings.fit.crop_copies = 2;
  EXPECT_EQ(code_of([&] { import_alone(settings); }), kUsage);
  settings.fit.crop_copies = 1;
  settings.threads = -1;
  EXPECT_EQ(code_of([&] { import_alone(settings); }), kUsage);
  settings.threads = 0;
  settings.fit.size = 0;
  settings.fit.scaled_decoding = true;
  EXPECT_EQ(code_of([&] { import_alone(settings); }), kUsage);
  settings.fit.scaled_decoding = false;
  settings.out = scratch / "no/such/folder/out.h5";
  EXPECT_EQ(code_of([&] { import_alone(settings); }), static_cast<int>(ExitCode::storage));
}

/// JPEGs of drawn scenes: large enough for a fraction, too small for one, and a PNG.
ImportSettings jpeg_set(const ScratchFolder& scratch, int large = 40) {
  for (int i = 0; i < large; ++i)
    write_file(scratch / ("set/a/" + std::to_string(100 + i) + ".jpg"),
               encode_jpeg(synthetic_image(2, static_cast<std::uint64_t>(i), 96 + i % 7), 90));
  write_file(scratch / "set/b/0.jpg", encode_jpeg(synthetic_image(2, 50, 62), 90));
  write_file(scratch / "set/b/1.png", marked_png(3, 80, 96));
  ImportSettings settings;
  settings.source = scratch / "set";
  settings.fit.size = 32;
  settings.fit.random_crop = true;
  settings.threads = 1;
  return settings;
}

std::vector<Octets> all_pixels(const std::filesystem::path& path) {
  const auto store = ImageStore::open(path);
  std::vector<Octets> all;
  for (std::uint64_t i = 0; i < store.count(); ++i) all.push_back(pixels_of(store, i));
  return all;
}

TEST(Import, ThreadsDoNotChangeTheStore) {
  const ScratchFolder scratch;
  auto settings = jpeg_set(scratch);
  for (const bool scaled : {false, true}) {
    settings.fit.scaled_decoding = scaled;
    std::vector<std::vector<Octets>> stores;
    std::vector<StoreRecord> records;
    for (const int threads : {1, 2, 5, 0}) {
      settings.threads = threads;
      settings.out = scratch / ("out" + std::to_string(scaled) + std::to_string(threads) + ".h5");
      import_alone(settings);
      stores.push_back(all_pixels(settings.out));
      records.push_back(ImageStore::open(settings.out).record());
    }
    for (std::size_t i = 1; i < stores.size(); ++i) {
      EXPECT_EQ(stores[i], stores[0]) << scaled;
      EXPECT_EQ(records[i].scaled_mean_difference, records[0].scaled_mean_difference);
      EXPECT_EQ(records[i].scaled_largest_difference, records[0].scaled_largest_difference);
    }
  }
}

TEST(Import, ScaledDecodingSaysHowFarItIsOff) {
  const ScratchFolder scratch;
  auto settings = jpeg_set(scratch);
  settings.out = scratch / "full.h5";
  EXPECT_FALSE(import_alone(settings).record.scaled_decoding);
  settings.out = scratch / "scaled.h5";
  settings.fit.scaled_decoding = true;
  settings.fit.compare_every = 1;
  const auto record = import_alone(settings).record;
  EXPECT_EQ(record.scaled_images, 40);
  EXPECT_EQ(record.scaled_compared, 40);
  // What it says is what the two stores show.
  const auto full = all_pixels(scratch / "full.h5"), scaled = all_pixels(scratch / "scaled.h5");
  int largest = 0;
  double sum = 0;
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t p = 0; p < full[i].size(); ++p) {
      largest = std::max(largest, std::abs(full[i][p] - scaled[i][p]));
      sum += std::abs(full[i][p] - scaled[i][p]);
    }
  EXPECT_GT(largest, 0);
  EXPECT_EQ(record.scaled_largest_difference, largest);
  EXPECT_NEAR(record.scaled_mean_difference, sum / (40 * 32 * 32 * 3), 1e-9);
  // Scenes look the same, at the same place: the random crops are those of the whole images.
  EXPECT_LT(record.scaled_mean_difference, 4);
  EXPECT_EQ(full[40], scaled[40]) << "at half of 62 pixels, less than 32 would be left";
  EXPECT_EQ(full[41], scaled[41]) << "a PNG";
  const auto read = ImageStore::open(scratch / "scaled.h5").record();
  EXPECT_TRUE(read.scaled_decoding);
  EXPECT_EQ(read.scaled_images, 40);
  EXPECT_EQ(read.scaled_compared, 40);
  EXPECT_EQ(read.scaled_largest_difference, largest);
  EXPECT_EQ(read.scaled_mean_difference, record.scaled_mean_difference);
}

TEST(Import, ScaledDecodingComparesASample) {
  const ScratchFolder scratch;
  auto settings = jpeg_set(scratch, 70);
  settings.out = scratch / "out.h5";
  settings.fit.scaled_decoding = true;
  const auto record = import_alone(settings).record;
  EXPECT_EQ(record.scaled_images, 70);
  EXPECT_GE(record.scaled_compared, 16);
  EXPECT_LE(record.scaled_compared, 20);
}

TEST(Import, FewLargeImagesAreComparedWhereverTheyStand) {
  const ScratchFolder scratch;
  auto settings = jpeg_set(scratch, 3);
  for (int i = 0; i < 200; ++i)
    write_file(scratch / ("set/a/0" + std::to_string(100 + i) + ".png"), marked_png(1, 40, 40));
  settings.out = scratch / "out.h5";
  settings.fit.scaled_decoding = true;
  const auto record = import_alone(settings).record;
  EXPECT_EQ(record.scaled_images, 3);
  EXPECT_EQ(record.scaled_compared, 3);
  EXPECT_GT(record.scaled_largest_difference, 0);
}

TEST(Import, ADamagedImageIsTheFirstOneWithAnyThreads) {
  const ScratchFolder scratch;
  auto settings = jpeg_set(scratch, 60);
  for (const char* name : {"set/a/110.jpg", "set/a/111.jpg", "set/a/150.jpg"}) write_file(scratch / name, "hello\n");
  for (const int threads : {1, 3}) {
    settings.threads = threads;
    settings.out = scratch / "out.h5";
    std::string message;
    EXPECT_EQ(code_of([&] { import_alone(settings); }, &message), kInput);
    EXPECT_NE(message.find("a/110.jpg"), std::string::npos) << message;
  }
}

TEST(Synth, ImagesArePureFunctionsOfSeedAndIndex) {
  EXPECT_EQ(synthetic_image(1, 5, 32), synthetic_image(1, 5, 32));
  EXPECT_NE(synthetic_image(1, 5, 32), synthetic_image(2, 5, 32));
  EXPECT_NE(synthetic_image(1, 5, 32), synthetic_image(1, 15, 32));
  // The scene does not depend on the size: a larger picture, averaged down, is nearly the smaller one.
  const auto small = synthetic_image(3, 24, 16), large = synthetic_image(3, 24, 64);
  double error = 0;
  for (std::size_t y = 0; y < 16; ++y)
    for (std::size_t x = 0; x < 16 * 3; ++x) {
      double sum = 0;
      for (std::size_t dy = 0; dy < 4; ++dy)
        for (std::size_t dx = 0; dx < 4; ++dx) sum += large.pixels[((y * 4 + dy) * 64 + x / 3 * 4 + dx) * 3 + x % 3];
      error += std::abs(sum / 16 - small.pixels[y * 48 + x]);
    }
  EXPECT_LT(error / small.pixels.size(), 3.0);
}

TEST(Synth, ClassesTakeTurns) {
  const ScratchFolder scratch;
  const auto world = make_solo_communicator();
  EXPECT_EQ(synthesize(*world, {scratch / "s.h5", 25, 16, 7}, {}).images, 25U);
  const auto store = ImageStore::open(scratch / "s.h5");
  EXPECT_EQ(store.shape(), (ImageShape{3, 16, 16}));
  EXPECT_EQ(store.classes(), synthetic_classes());
  for (std::uint64_t i = 0; i < 25; ++i) {
    EXPECT_EQ(store.labels()[i], static_cast<std::int64_t>(i % 10));
    EXPECT_EQ(pixels_of(store, i), synthetic_image(7, i, 16).pixels);
  }
}

}  // namespace
}  // namespace langrun
