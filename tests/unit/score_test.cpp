#include "jobs/score.h"

#include "core/module_tensors.h"
#include "core/networks/classifier.h"
#include "core/torch.h"
#include "data/hdf5.h"
#include "data/weights_file.h"
#include "jobs/module_weights.h"
#include "weights_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;

/// A store of patterned images; `phase` makes another set.
void make_store(const std::filesystem::path& path, std::uint64_t count, std::uint64_t size, unsigned phase) {
  std::vector<std::uint8_t> pixels(count * size * size * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<std::uint8_t>((i * 2654435761u >> (phase + 7)) ^ (i / 97));
  auto file = h5::File::create(path);
  file.write("/images", {count, size, size, 3}, pixels.data());
  file.write("/labels", {count}, std::vector<std::int64_t>(count, 0).data());
  file.write_attribute("/", "classes", std::vector<std::string>{"all"});
  file.close();
}

/// ResNet-20 with weights that are not zero, without any file from outside.
void make_weights(const std::filesystem::path& path) {
  const auto net = make_classifier("resnet20");
  const torch::NoGradGuard constant;
  std::int64_t k = 0;
  for (const auto& [name, weight] : named_weights(*net)) {
    auto target = weight;
    if (weight.dim() > 1)
      target.copy_(torch::sin(torch::arange(weight.numel()) * 0.37 + static_cast<double>(++k)).view(weight.sizes()) *
                   0.2);
  }
  std::vector<WeightsPart> parts;
  parts.push_back({"classifier", {{"network", "resnet20"}}, arrays_of(named_state(*net))});
  write_weights_file(path, parts);
}

class Score : public ::testing::Test {
 protected:
  void SetUp() override {
    make_store(scratch / "a.h5", 130, 32, 0);
    make_store(scratch / "b.h5", 150, 32, 3);
    make_weights(scratch / "w.h5");
    config.a = (scratch / "a.h5").string();
    config.b = (scratch / "b.h5").string();
    config.features.file = (scratch / "w.h5").string();
    config.block = 40;
  }
  ScoreResult run() {
    const auto world = make_solo_communicator();
    return score(config, *world, [this](std::int64_t done, std::int64_t all) { progress = {done, all}; });
  }
  Scratch scratch;
  ScoreConfig config;
  std::pair<std::int64_t, std::int64_t> progress;
};

TEST_F(Score, MeasuresTwoStores) {
  const auto result = run();
  EXPECT_GT(result.distance, 0);
  EXPECT_EQ(result.count, 130);
  EXPECT_EQ(result.b.images, 150);
  EXPECT_EQ(result.feature_length, 64);
  EXPECT_EQ(result.network, "resnet20");
  EXPECT_EQ(progress, (std::pair<std::int64_t, std::int64_t>{260, 260}));
  EXPECT_EQ(run().distance, result.distance);
  // A padded last block changes nothing but the last bits.
  config.block = 130;
  EXPECT_NEAR(run().distance, result.distance, 1e-4 * result.distance);
}

TEST_F(Score, SameImagesHaveNoDistance) {
  const double apart = run().distance;
  config.b = config.a;
  EXPECT_NEAR(run().distance, 0, 1e-5 * apart);
}

TEST_F(Score, RandomChoiceIsKeyed) {
  config.count = 70;
  const auto first = run().distance;
  config.choice = "random";
  const auto random = run().distance;
  EXPECT_NE(random, first);
  EXPECT_EQ(run().distance, random);
  config.seed = 2;
  EXPECT_NE(run().distance, random);
}

TEST_F(Score, RefusesTooFewImages) {
  config.count = 64;
  EXPECT_NE(error_of(ExitCode::usage, [&] { run(); }).find("at least 65"), std::string::npos);
  config.count = 65;
  EXPECT_EQ(run().count, 65);
  config.count = 131;
  EXPECT_NE(error_of(ExitCode::usage, [&] { run(); }).find("holds 130"), std::string::npos);
}

TEST_F(Score, ResizesOtherSizes) {
  make_store(scratch / "large.h5", 130, 48, 0);
  config.a = (scratch / "large.h5").string();
  const auto result = run();
  EXPECT_EQ(result.a.height, 48);
  EXPECT_TRUE(std::isfinite(result.distance));
}

}  // namespace
}  // namespace langrun
