// Points of the plane in stores, pictures and files of weights.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/networks/energy.h"
#include "core/plane_density.h"
#include "core/torch.h"
#include "data/loader.h"
#include "data/store_writer.h"
#include "distributed/communicator.h"
#include "import_support.h"
#include "jobs/model_density.h"
#include "jobs/module_weights.h"
#include "jobs/network_facts.h"
#include "jobs/points_panel.h"
#include "jobs/run_points.h"
#include "jobs/synthesize.h"
#include "jobs/training_data.h"

namespace langrun {
namespace {

using test::code_of;
using test::Octets;
using test::ScratchFolder;
constexpr int kInput = static_cast<int>(ExitCode::input);

std::vector<float> floats_of(const Octets& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::filesystem::path ring_store(const ScratchFolder& scratch, std::int64_t count) {
  const auto world = make_solo_communicator();
  SynthSettings settings;
  settings.out = scratch / "ring.h5";
  settings.count = count;
  settings.seed = 5;
  settings.density = "ring";
  synthesize(*world, settings, {});
  return settings.out;
}

/// A float32 store of one writer, any shape.
std::filesystem::path float_store(const ScratchFolder& scratch, const ImageShape& shape,
                                  const std::vector<std::vector<float>>& images) {
  const StoreTarget target(scratch / "f.h5", 1);
  target.prepare();
  ShardWriter writer(target.shard_path(0), images.size(), Pixels::floats);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(images[i].data());
    writer.put(i, shape, {bytes, images[i].size() * sizeof(float)});
  }
  writer.finish();
  target.publish({shape, {images.size()}, std::vector<std::int64_t>(images.size(), 0), {"all"}, {}, Pixels::floats});
  return scratch / "f.h5";
}

TEST(Points, AStoreHoldsTheSampleBitForBit) {
  const ScratchFolder scratch;
  const auto store = ImageStore::open(ring_store(scratch, 300), Accept::any_type);
  EXPECT_EQ(store.pixels(), Pixels::floats);
  EXPECT_EQ(store.shape(), (ImageShape{2, 1, 1}));
  EXPECT_EQ(store.image_bytes(), 8U);
  EXPECT_EQ(store.classes().size(), 8U);
  const PlaneDensity ring("ring");
  const std::vector<std::uint64_t> indices{299, 0, 17};
  Octets bytes(24);
  store.read(indices, bytes);
  const auto values = floats_of(bytes);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto sample = ring.sample(5, indices[i]);
    EXPECT_EQ(values[2 * i], sample.x);
    EXPECT_EQ(values[2 * i + 1], sample.y);
    EXPECT_EQ(store.labels()[indices[i]], static_cast<std::int64_t>(sample.mode));
  }
  EXPECT_EQ(density_of_store(scratch / "ring.h5"), "ring");
  EXPECT_EQ(data_points(scratch / "ring.h5", 2),
            (std::vector<float>{ring.sample(5, 0).x, ring.sample(5, 0).y, ring.sample(5, 1).x, ring.sample(5, 1).y}));
}

TEST(Points, WhoWantsPicturesRefusesFloats) {
  const ScratchFolder scratch;
  const auto path = ring_store(scratch, 20);
  std::string message;
  EXPECT_EQ(code_of([&] { ImageStore::open(path); }, &message), kInput);
  EXPECT_NE(message.find("float32 [20, 1, 1, 2], expected 8-bit pictures"), std::string::npos) << message;
  const auto four = float_store(scratch, {4, 1, 1}, {{1, 2, 3, 4}});
  EXPECT_EQ(code_of([&] { ImageStore::open(four, Accept::any_type); }, &message), kInput);
  EXPECT_NE(message.find("1, 2 or 3 channels"), std::string::npos) << message;
}

TEST(Points, TheLoaderMirrorsWholeFloats) {
  const ScratchFolder scratch;
  const auto path = float_store(scratch, {2, 1, 3}, {{0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F}});
  const auto store = ImageStore::open(path, Accept::any_type);
  LoaderSettings settings;
  settings.batch = 32;
  settings.own = {0};
  settings.flip = true;
  Loader loader(store, settings);
  const auto values = floats_of(loader.next().images);
  int mirrored = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const std::vector<float> image(values.begin() + static_cast<std::ptrdiff_t>(6 * i),
                                   values.begin() + static_cast<std::ptrdiff_t>(6 * i + 6));
    const bool turned = image == std::vector<float>{0.5F, 0.6F, 0.3F, 0.4F, 0.1F, 0.2F};
    mirrored += turned;
    if (!turned) {
      EXPECT_EQ(image, (std::vector<float>{0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F}));
    }
  }
  EXPECT_GT(mirrored, 5);
  EXPECT_LT(mirrored, 27);
}

TEST(Points, TrainingTakesValuesAsTheyAre) {
  const ScratchFolder scratch;
  TrainingConfig config;
  config.data = float_store(scratch, {2, 1, 1}, {{-1.5F, 0.25F}, {3.0F, -0.125F}}).string();
  config.batch = 2;
  TrainingData data(config, {1, 0, 1}, {2, 1, 1});
  const auto images = data.images({1, 0});
  EXPECT_TRUE(at::equal(images.flatten(), at::tensor({3.0F, -0.125F, -1.5F, 0.25F})));
  std::filesystem::remove(config.data);
  config.data = float_store(scratch, {2, 1, 1}, {{0, 0}, {0, std::nanf("")}}).string();
  TrainingData broken(config, {1, 0, 1}, {2, 1, 1});
  std::string message;
  EXPECT_EQ(code_of([&] { broken.images({0, 1}); }, &message), kInput);
  EXPECT_NE(message.find("image 1 "), std::string::npos) << message;
  EXPECT_EQ(code_of([&] { TrainingData(config, {1, 0, 1}, {3, 32, 32}); }), kInput);
}

TEST(Points, APanelIsAHistogram) {
  const std::vector<float> points{0, 0, 0, 0, 1, 0.5F, 9, 9, std::nanf(""), 0};
  const auto panel = points_panel("chains", points);
  EXPECT_EQ(panel.title, "chains; 1 not finite");
  ASSERT_EQ(panel.pixels.size(), 256U * 256 * 3);
  const auto brightness = [&](std::int64_t row, std::int64_t column) {
    const auto at = static_cast<std::size_t>((row * 256 + column) * 3);
    return panel.pixels[at] + panel.pixels[at + 1] + panel.pixels[at + 2];
  };
  // x = 1 stands at 2.2 / 2.4 of the width, y = 0.5 at 0.7 / 2.4 of the height from above.
  EXPECT_GT(brightness(127, 128), brightness(74, 234));
  EXPECT_GT(brightness(74, 234), brightness(74, 20));
  EXPECT_GT(brightness(0, 255), brightness(255, 255)) << "what lies outside is on the border";
}

TEST(Points, AnEnergyIsEvaluatedOnTheGrid) {
  const ScratchFolder scratch;
  const EnergyConfig config{"mlp2d", 12};
  const auto network = make_energy(config, 9);
  auto facts = facts_of(config);
  facts["temperature"] = "0.5";
  facts["tau"] = "2";
  const auto pictures = make_energy({"light", 2}, 1);
  std::vector<WeightsPart> parts;
  parts.push_back(copied_part("energy", named_state(*network), facts));
  parts.push_back(copied_part("energy_average", named_state(*pictures), facts_of(EnergyConfig{"light", 2})));
  write_weights_file(scratch / "w.h5", parts);
  const WeightsFile file(scratch / "w.h5");
  const PlaneGrid grid{1.5, 16}, arrows{1.5, 3};
  const auto model = model_density(file, "energy", 0, grid, arrows);
  EXPECT_EQ(model.temperature, 0.5);
  ASSERT_EQ(model.energy.size(), 256U);
  for (const std::size_t i : {std::size_t{0}, std::size_t{37}, std::size_t{255}}) {
    const auto at = grid.middle(i);
    const auto x = at::tensor({static_cast<float>(at.x), static_cast<float>(at.y)}).view({1, 2, 1, 1});
    const at::NoGradGuard constant;
    const double expected = network->energy(x).item<double>() / 0.5 + (at.x * at.x + at.y * at.y) / 8;
    EXPECT_NEAR(model.energy[i], expected, 1e-4);
  }
  ASSERT_EQ(model.gradient.size(), 18U);
  const auto at = arrows.middle(1);
  const auto x = at::tensor({static_cast<float>(at.x), static_cast<float>(at.y)}).view({1, 2, 1, 1});
  const auto slope = network->energy_and_gradient(x).gradient.flatten();
  EXPECT_NEAR(model.gradient[2], slope[0].item<double>() / 0.5 + at.x / 4, 1e-4);
  EXPECT_NEAR(model.gradient[3], slope[1].item<double>() / 0.5 + at.y / 4, 1e-4);
  EXPECT_EQ(code_of([&] { model_density(file, "energy_average", 1, grid, arrows); }), kInput);
  EXPECT_EQ(code_of([&] { model_density(file, "generator", 1, grid, arrows); }), kInput);
}

}  // namespace
}  // namespace langrun
