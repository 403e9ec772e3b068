#include "jobs/score.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "core/frechet.h"
#include "data/image_store.h"
#include "score_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::make_script;
using testing::make_store;

class Score : public testing::ScoreTest {};

TEST_F(Score, MeasuresTwoStores) {
  const auto result = run();
  ASSERT_TRUE(result.distance);
  EXPECT_GT(*result.distance, 0);
  EXPECT_EQ(result.a.images.count, 130);
  EXPECT_EQ(result.b->images.count, 130);
  EXPECT_EQ(result.b->images.images, 150);
  EXPECT_EQ(result.net->length, 64);
  EXPECT_EQ(result.net->network, "resnet20");
  EXPECT_EQ(progress, (std::pair<std::int64_t, std::int64_t>{260, 260}));
  EXPECT_EQ(run().distance, result.distance);
  // A padded last block changes nothing but the last bits.
  config.block = 130;
  EXPECT_NEAR(*run().distance, *result.distance, 1e-4 * *result.distance);
}

TEST_F(Score, SameImagesHaveNoDistance) {
  const double apart = *run().distance;
  config.b = config.a;
  EXPECT_NEAR(*run().distance, 0, 1e-5 * apart);
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
  EXPECT_NE(refusal(ExitCode::usage).find("at least 65"), std::string::npos);
  config.count = 65;
  EXPECT_EQ(run().a.images.count, 65);
  config.count = 131;
  EXPECT_NE(refusal(ExitCode::usage).find("holds 130"), std::string::npos);
}

TEST_F(Score, ResizesOtherSizes) {
  make_store(scratch / "large.h5", 130, 48, 0);
  config.a = (scratch / "large.h5").string();
  const auto result = run();
  EXPECT_EQ(result.a.images.height, 48);
  EXPECT_TRUE(std::isfinite(*result.distance));
}

TEST_F(Score, SaysHowAStoreCameToBe) {
  auto file = h5::File::open_to_add(scratch / "a.h5");
  file.write_attribute("/", "weights", std::string("average"));
  file.write_attribute("/", "langevin_steps", std::int64_t{60});
  file.write_attribute("/", "langevin_eta", 0.015);
  file.close();
  const auto made = run().a.images.attributes;
  EXPECT_EQ(made.size(), 3U) << "names of classes are none of it";
  EXPECT_EQ(std::get<std::string>(made.at("weights")), "average");
  EXPECT_EQ(std::get<std::int64_t>(made.at("langevin_steps")), 60);
  EXPECT_EQ(std::get<double>(made.at("langevin_eta")), 0.015);
}

TEST_F(Score, TakesTorchScript) {
  use_script();
  const auto result = run();
  EXPECT_EQ(result.net->network, "torchscript");
  EXPECT_EQ(result.net->length, 12);
  EXPECT_EQ(result.net->input_height, 32);
  EXPECT_EQ(result.net->checksum.size(), 32U);
  // The same by hand: means of quarters of values from 0 to 1.
  const auto quarters = [&](const std::string& path) {
    const auto store = ImageStore::open(path);
    auto raw = torch::empty({130, 32, 32, 3}, torch::kUInt8);
    std::vector<std::uint64_t> all(130);
    std::iota(all.begin(), all.end(), 0);
    store.read(all, {raw.mutable_data_ptr<std::uint8_t>(), static_cast<std::size_t>(raw.numel())});
    FeatureStatistics statistics(12);
    const auto x = raw.to(torch::kFloat64).div(255).view({130, 2, 16, 2, 16, 3}).mean({2, 4});
    statistics.add(x.permute({0, 3, 1, 2}).flatten(1));
    return statistics;
  };
  // Features are float32, these here float64.
  EXPECT_NEAR(*result.distance, frechet_distance(quarters(config.a), quarters(config.b)), 1e-5 * *result.distance);
  // [B, L, 1, 1] is as good.
  use_script("    return torch.flatten(torch.adaptive_avg_pool2d(x, [2, 2]), 1)[:, :, None, None]\n");
  EXPECT_EQ(run().distance, result.distance);
}

TEST_F(Score, BringsImagesToTheStatedRangeAndSize) {
  // Features that tell the range: of each channel the least and the largest value of an image, all alike.
  auto file = h5::File::create(scratch / "ends.h5");
  std::vector<std::uint8_t> pixels(20 * 8 * 8 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = i / 3 % 2 == 0 ? 0 : 255;
  file.write("/images", {20, 8, 8, 3}, pixels.data());
  file.write("/labels", {20}, std::vector<std::int64_t>(20, 0).data());
  file.close();
  make_script(scratch / "ends.pt",
              "    y = torch.flatten(x, 2)\n"
              "    size = torch.zeros(x.size(0), 1) + x.size(2)\n"
              "    return torch.cat([y.min(2)[0], y.max(2)[0], size], 1)\n");
  const auto means = [&](const std::string& range, std::int64_t size) {
    ScoreConfig one;
    one.a = (scratch / "ends.h5").string();
    one.features = {(scratch / "ends.pt").string(), size, range};
    one.statistics = (scratch / fmt::format("{}-{}.h5", range, size)).string();
    const auto world = make_solo_communicator();
    score(one, *world, [](std::int64_t, std::int64_t) {});
    return read_statistics_file(one.statistics).mean;
  };
  const auto expect = [](const std::vector<double>& got, const std::vector<double>& wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-6) << i;
  };
  expect(means("-1:1", 0), {-1, -1, -1, 1, 1, 1, 8});
  expect(means("0:1", 0), {0, 0, 0, 1, 1, 1, 8});
  expect(means("0:255", 0), {0, 0, 0, 255, 255, 255, 8});
  expect(means("imagenet", 0),
         {-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225, 0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225, 8});
  EXPECT_EQ(means("0:255", 20)[6], 20);
}

TEST_F(Score, RefusesNetsThatDoNotFit) {
  const auto expect = [&](const std::string& body, const std::string& what) {
    use_script(body);
    const auto text = refusal(ExitCode::input);
    EXPECT_NE(text.find(what), std::string::npos) << text;
    EXPECT_NE(text.find("script.pt"), std::string::npos) << text;
  };
  expect("    return torch.matmul(torch.flatten(x, 1), torch.zeros(5, 2))\n", "does not take images [40, 3, 32, 32]");
  expect("    assert x.size(2) == 299\n    return torch.flatten(x, 1)\n", "does not take images");
  expect("    return (x, x)\n", "returns Tuple, expected a tensor");
  expect("    return x\n", "returns [40, 3, 32, 32] for 40 images, no vector for each");
  expect("    return torch.flatten(x)\n", "no vector for each");
  expect("    return torch.flatten(x, 1)[:, :0]\n", "no vector for each");
  expect("    return torch.flatten(x[:7], 1)\n", "no vector for each");
  expect("    return torch.argmax(torch.flatten(x, 1), 1, True)\n", "no real numbers");
  use_script("    return torch.adaptive_avg_pool2d(x, [1, 1]) / 0\n");
  EXPECT_NE(refusal(ExitCode::diverged).find("non-finite"), std::string::npos);
}

TEST_F(Score, RefusesSettingsOfNetsThatDoNotGoTogether) {
  config.features.size = 32;
  EXPECT_NE(refusal(ExitCode::usage).find("TorchScript"), std::string::npos);
  use_script();
  config.features.range = "none";
  EXPECT_NE(refusal(ExitCode::usage).find("--features.range"), std::string::npos);
  use_script();
  make_store(scratch / "large.h5", 150, 48, 0);
  config.b = (scratch / "large.h5").string();
  EXPECT_NE(refusal(ExitCode::input).find("--features.size"), std::string::npos);
  config.features.size = 40;
  EXPECT_TRUE(std::isfinite(*run().distance));
  testing::write_file(scratch / "cut.pt", testing::read_file(scratch / "script.pt").substr(0, 500));
  config.features.file = (scratch / "cut.pt").string();
  EXPECT_NE(refusal(ExitCode::input).find("cut.pt"), std::string::npos);
  config.features.file = (scratch / "none.pt").string();
  refusal(ExitCode::input);
  config.features.file.clear();
  EXPECT_NE(refusal(ExitCode::usage).find("--features is missing"), std::string::npos);
}

TEST_F(Score, GreyImagesHaveThreeEqualChannels) {
  auto file = h5::File::create(scratch / "grey.h5");
  std::vector<std::uint8_t> grey(130 * 32 * 32), rgb;
  for (std::size_t i = 0; i < grey.size(); ++i) grey[i] = static_cast<std::uint8_t>(i * 2654435761u >> 9);
  for (const auto v : grey) rgb.insert(rgb.end(), 3, v);
  file.write("/images", {130, 32, 32, 1}, grey.data());
  file.write("/labels", {130}, std::vector<std::int64_t>(130, 0).data());
  file.close();
  auto same = h5::File::create(scratch / "rgb.h5");
  same.write("/images", {130, 32, 32, 3}, rgb.data());
  same.write("/labels", {130}, std::vector<std::int64_t>(130, 0).data());
  same.close();
  config.a = (scratch / "grey.h5").string();
  const auto of_grey = run();
  config.a = (scratch / "rgb.h5").string();
  EXPECT_EQ(of_grey.distance, run().distance);
  EXPECT_EQ(of_grey.a.images.channels, 1);
}

}  // namespace
}  // namespace langrun
