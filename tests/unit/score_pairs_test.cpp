#include "jobs/score_pairs.h"

#include <cmath>
#include <fstream>

#include "core/similarity.h"
#include "data/image_store.h"
#include "score_support.h"

namespace langrun {
namespace {

using testing::make_store;
using testing::Scratch;

at::Tensor pattern(double phase, std::int64_t count = 3, std::int64_t size = 24) {
  const auto i = torch::arange(count * 3 * size * size, torch::kFloat64).view({count, 3, size, size});
  return torch::sin(i * 0.37 + phase) * 0.3 + torch::cos(i * i * 0.0011) * 0.2 + 0.5;
}

TEST(Ssim, KnownValues) {
  const auto x = pattern(0);
  EXPECT_TRUE(torch::allclose(ssim(x, x), torch::ones(3, torch::kFloat64)));
  // Constant images have no structure: the luminance term alone.
  const auto a = torch::full({1, 3, 11, 11}, 0.25, torch::kFloat64), b = torch::full_like(a, 0.75);
  EXPECT_NEAR(ssim(a, b)[0].item<double>(), (2 * 0.25 * 0.75 + 1e-4) / (0.25 * 0.25 + 0.75 * 0.75 + 1e-4), 1e-9);
  // Inverted images are unlike.
  EXPECT_LT(ssim(x, 1 - x).max().item<double>(), 0);
  EXPECT_TRUE(torch::equal(ssim(x, pattern(1))[1], ssim(x.narrow(0, 1, 1), pattern(1).narrow(0, 1, 1))[0]))
      << "an image's value depends on nothing beside it";
}

TEST(Ssim, AgreesWithAnotherProgram) {
  const Scratch scratch;
  if (const auto why = testing::without_python(scratch, "numpy"); !why.empty()) GTEST_SKIP() << why;
  const auto a = pattern(0), b = pattern(0.8);
  for (const auto& [x, name] : {std::pair{a, "a.bin"}, std::pair{b, "b.bin"}})
    testing::write_file(scratch / name, std::string(static_cast<const char*>(x.data_ptr()), x.nbytes()));
  // By the definition, window by window.
  ASSERT_TRUE(testing::python(scratch, R"(
import numpy as np
a, b = (np.fromfile(n).reshape(3, 3, 24, 24) for n in ('a.bin', 'b.bin'))
y, x = np.mgrid[-5:6, -5:6]
w = np.exp(-(x * x + y * y) / (2 * 1.5 ** 2)); w /= w.sum()
for i in range(3):
    values = []
    for c in range(3):
        for r in range(14):
            for s in range(14):
                p, q = a[i, c, r:r + 11, s:s + 11], b[i, c, r:r + 11, s:s + 11]
                mp, mq = (w * p).sum(), (w * q).sum()
                vp, vq, v = (w * (p - mp) ** 2).sum(), (w * (q - mq) ** 2).sum(), (w * (p - mp) * (q - mq)).sum()
                values.append((2 * mp * mq + 1e-4) * (2 * v + 9e-4) / ((mp * mp + mq * mq + 1e-4) * (vp + vq + 9e-4)))
    print(repr(float(np.mean(values))))
)")) << testing::read_file(scratch / "python.log");
  std::ifstream log(scratch / "python.log");
  const auto ours = ssim(a, b);
  for (std::int64_t i = 0; i < 3; ++i) {
    double expected = 0;
    ASSERT_TRUE(log >> expected);
    EXPECT_NEAR(ours[i].item<double>(), expected, 1e-10);
  }
}

TEST(Nearest, SquaredDistancesAreExact) {
  // More values than a piece, as far apart as they can be.
  const std::vector<std::uint8_t> a(100000, 255), b(100000, 0);
  EXPECT_EQ(squared_distance(a, b), std::uint64_t{100000} * 255 * 255);
  EXPECT_EQ(squared_distance(std::vector<std::uint8_t>{3, 200}, std::vector<std::uint8_t>{5, 100}), 10004U);
  Nearest best;
  best.offer(7, 2.0);
  best.offer(9, 2.0);
  EXPECT_EQ(best.index, 7U);
  best.offer(3, 2.0);
  EXPECT_EQ(best.index, 3U) << "whatever the order of offers";
  best.offer(8, 1.0);
  EXPECT_EQ(best.index, 8U);
}

class ScorePairs : public testing::ScoreTest {};

TEST_F(ScorePairs, FindsImagesThatWereHidden) {
  // B's images 140 and 77 are A's 0 and 1, the second with one value changed.
  const auto a = ImageStore::open(config.a), b = ImageStore::open(config.b);
  std::vector<std::uint64_t> all(150), two{0, 1};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  std::vector<std::uint8_t> pixels(150 * 3072), hidden(2 * 3072);
  b.read(all, pixels);
  a.read(two, hidden);
  std::copy_n(hidden.begin(), 3072, pixels.begin() + 140 * 3072);
  std::copy_n(hidden.begin() + 3072, 3072, pixels.begin() + 77 * 3072);
  pixels[77 * 3072] = static_cast<std::uint8_t>(pixels[77 * 3072] ^ 16);
  auto file = h5::File::create(scratch / "hidden.h5");
  file.write("/images", {150, 32, 32, 3}, pixels.data());
  file.write("/labels", {150}, std::vector<std::int64_t>(150, 0).data());
  file.close();
  config.b = (scratch / "hidden.h5").string();
  config.neighbours = 3;
  config.ssim = true;
  config.count = 70;  // neighbours are looked for in all of B
  const auto result = run();
  ASSERT_EQ(result.neighbours.size(), 3U);
  EXPECT_EQ(result.neighbours[0].pixels.index, 140U);
  EXPECT_EQ(result.neighbours[0].pixels.distance, 0);
  EXPECT_EQ(result.neighbours[0].features->index, 140U);
  EXPECT_EQ(result.neighbours[0].features->distance, 0);
  EXPECT_EQ(result.neighbours[1].pixels.index, 77U);
  EXPECT_NEAR(result.neighbours[1].pixels.distance, 16.0 / 255 / std::sqrt(3072.0), 1e-12);
  EXPECT_GT(result.neighbours[2].pixels.distance, 0.01);
  EXPECT_EQ(progress.first, progress.second);
  ASSERT_EQ(result.similarities.size(), 70U);
  // Pairs are by number, whichever images the distance takes.
  config.choice = "random";
  EXPECT_EQ(run().similarities, result.similarities);
}

TEST_F(ScorePairs, NeedNoNet) {
  config.features.file.clear();
  config.ssim = true;
  config.neighbours = 2;
  config.b = config.a;
  const auto result = run();
  EXPECT_FALSE(result.distance);
  EXPECT_FALSE(result.neighbours[1].features);
  EXPECT_EQ(result.neighbours[1].pixels.index, 1U);
  for (const double s : result.similarities) EXPECT_NEAR(s, 1, 1e-12);
}

TEST_F(ScorePairs, RefusesImagesThatDoNotFit) {
  make_store(scratch / "large.h5", 150, 48, 0);
  make_store(scratch / "tiny.h5", 150, 8, 0);
  config.features.file.clear();
  config.ssim = true;
  config.b = (scratch / "large.h5").string();
  EXPECT_NE(refusal(ExitCode::input).find("48x48x3"), std::string::npos);
  config.a = config.b = (scratch / "tiny.h5").string();
  EXPECT_NE(refusal(ExitCode::input).find("11x11"), std::string::npos);
  config.ssim = false;
  config.neighbours = 151;
  EXPECT_NE(refusal(ExitCode::usage).find("holds 150"), std::string::npos);
}

}  // namespace
}  // namespace langrun
