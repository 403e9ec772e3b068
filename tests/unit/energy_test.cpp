#include "core/networks/energy.h"

#include "core/error.h"
#include "core/networks/blocks.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

/// Weights of SNGAN's residual block: two 3x3 convolutions and, where there is one, a 1x1 shortcut, all with biases.
std::int64_t block_weights(std::int64_t in, std::int64_t out, bool shortcut) {
  return (9 * in * out + out) + (9 * out * out + out) + (shortcut ? in * out + out : 0);
}

std::int64_t sngan_pyramid_weights(std::int64_t n, bool last) {
  return block_weights(3, n / 16, true) + block_weights(n / 16, n / 8, true) + block_weights(n / 8, n / 4, true) +
         block_weights(n / 4, n / 2, true) + block_weights(n / 2, n, true) + (last ? block_weights(n, n, false) : 0) +
         n;
}

/// BigGAN-deep at width ch, from the table: {in, out} multiples of its blocks, and the attention's multiple.
std::int64_t biggan_weights(std::int64_t ch, const std::vector<std::pair<std::int64_t, std::int64_t>>& blocks,
                            std::int64_t attended) {
  std::int64_t count = 27 * ch + ch;
  for (auto [in, out] : blocks) {
    in *= ch, out *= ch;
    const auto hidden = in / 4;
    count += (in * hidden + hidden) + 2 * (9 * hidden * hidden + hidden) + (hidden * out + out);
    if (out > in) count += in * (out - in) + (out - in);
  }
  const auto c = attended * ch;
  count += 2 * (c * c / 8) + 2 * (c * c / 2) + 1;
  return count + blocks.back().second * ch;
}

const std::vector<std::pair<std::int64_t, std::int64_t>> kBiggan64 = {{1, 1}, {1, 2}, {2, 2}, {2, 4},
                                                                      {4, 4}, {4, 8}, {8, 8}, {8, 16}};
const std::vector<std::pair<std::int64_t, std::int64_t>> kBiggan128 = {{1, 2}, {2, 2},  {2, 4},   {4, 4},   {4, 8},
                                                                       {8, 8}, {8, 16}, {16, 16}, {16, 16}, {16, 16}};
const std::vector<std::pair<std::int64_t, std::int64_t>> kBiggan224 = {
    {1, 2}, {2, 2}, {2, 4}, {4, 4}, {4, 8}, {8, 8}, {8, 8}, {8, 8}, {8, 16}, {16, 16}, {16, 16}, {16, 16}};

struct Case {
  const char* network;
  std::int64_t width, size, weights, channels = 3;
};

void PrintTo(const Case& given, std::ostream* out) { *out << given.network << " of width " << given.width; }

class EachEnergy : public testing::TestWithParam<Case> {};

TEST_P(EachEnergy, HasItsShapeAndWeightCount) {
  const auto& expected = GetParam();
  const auto energy = make_energy({.network = expected.network, .width = expected.width}, 1);
  EXPECT_EQ(energy->input(), (ImageShape{expected.channels, expected.size, expected.size}));
  EXPECT_EQ(weight_count(*energy), expected.weights);
  at::NoGradGuard no_grad;
  const auto u = energy->energy(some_images(2, energy->input()));
  EXPECT_EQ(u.sizes(), at::IntArrayRef({2}));
  EXPECT_EQ(u.scalar_type(), at::kFloat);
}

const std::int64_t kSngan32 =
    block_weights(3, 256, true) + block_weights(256, 256, true) + 2 * block_weights(256, 256, false) + 256;

INSTANTIATE_TEST_SUITE_P(PaperWidth, EachEnergy,
                         testing::Values(Case{"light", 0, 32, 693569}, Case{"sngan32", 0, 32, kSngan32},
                                         Case{"sngan64", 0, 64, sngan_pyramid_weights(1024, false)},
                                         Case{"mlp2d", 0, 1, (2 * 64 + 64) + 2 * (64 * 64 + 64) + (64 + 1), 2}),
                         [](const auto& each) { return each.param.network; });
INSTANTIATE_TEST_SUITE_P(SmallWidth, EachEnergy,
                         testing::Values(Case{"light", 1, 32, (27 + 1) + (32 + 2) + (128 + 4) + (512 + 8) + (128 + 1)},
                                         Case{"sngan32", 1, 32,
                                              2 * block_weights(1, 1, false) + block_weights(1, 1, true) +
                                                  block_weights(3, 1, true) + 1},
                                         Case{"sngan64", 16, 64, sngan_pyramid_weights(16, false)},
                                         Case{"sngan128", 32, 128, sngan_pyramid_weights(32, true)},
                                         Case{"biggan64", 8, 64, biggan_weights(8, kBiggan64, 1)},
                                         Case{"biggan128", 4, 128, biggan_weights(4, kBiggan128, 2)},
                                         Case{"biggan224", 4, 224, biggan_weights(4, kBiggan224, 4)},
                                         Case{"mlp2d", 3, 1, (2 * 3 + 3) + 2 * (3 * 3 + 3) + (3 + 1), 2}),
                         [](const auto& each) { return each.param.network; });

class SmallEnergy : public testing::TestWithParam<EnergyConfig> {
 protected:
  std::shared_ptr<Energy> energy_ = make_energy(GetParam(), 3);
  ImageShape size_ = energy_->input();
};

TEST_P(SmallEnergy, GradientAgreesWithFiniteDifferences) {
  energy_->to(at::kDouble);
  const auto x = some_images(2, size_).to(at::kDouble);
  const auto direction = some_images(2, size_, 2).to(at::kDouble);
  const auto [u, gradient] = energy_->energy_and_gradient(x);
  at::NoGradGuard no_grad;
  // Piecewise linear but for attention: a small step stays on one piece but for a few of the many units.
  constexpr double kStep = 1e-7;
  const auto slope = (energy_->energy(x + kStep * direction) - energy_->energy(x - kStep * direction)) / (2 * kStep);
  const auto expected = (gradient * direction).sum({1, 2, 3});
  EXPECT_LT(relative_difference(slope, expected), 1e-4);
  EXPECT_LT(relative_difference(u, energy_->energy(x)), 1e-12);
}

TEST_P(SmallEnergy, LeavesWeightGradientsAlone) {
  energy_->energy_and_gradient(some_images(2, size_));
  for (const auto& parameter : energy_->parameters()) {
    EXPECT_TRUE(parameter.requires_grad());
    EXPECT_FALSE(parameter.grad().defined());
  }
}

TEST_P(SmallEnergy, SamplesDoNotTouchEachOther) {
  const auto x = some_images(4, size_);
  auto other = x.clone();
  other.narrow(0, 1, 3).copy_(some_images(3, size_, 9));
  const auto a = energy_->energy_and_gradient(x), b = energy_->energy_and_gradient(other);
  EXPECT_TRUE(at::equal(a.energy[0], b.energy[0]));
  EXPECT_TRUE(at::equal(a.gradient[0], b.gradient[0]));
  EXPECT_FALSE(at::equal(a.energy[1], b.energy[1]));
}

TEST_P(SmallEnergy, RepeatsItsBitsAndKeepsMemoryFormat) {
  const auto x = some_images(3, size_);
  const auto wide = x.contiguous(at::MemoryFormat::ChannelsLast);
  const auto a = energy_->energy_and_gradient(x), b = energy_->energy_and_gradient(x);
  EXPECT_TRUE(at::equal(a.energy, b.energy));
  EXPECT_TRUE(at::equal(a.gradient, b.gradient));
  EXPECT_TRUE(a.gradient.is_contiguous());
  EXPECT_TRUE(energy_->energy_and_gradient(wide).gradient.is_contiguous(at::MemoryFormat::ChannelsLast));
}

INSTANTIATE_TEST_SUITE_P(Energies, SmallEnergy,
                         testing::Values(EnergyConfig{"light", 4}, EnergyConfig{"sngan32", 8},
                                         EnergyConfig{"sngan64", 16}, EnergyConfig{"sngan128", 16},
                                         EnergyConfig{"biggan64", 8, true}, EnergyConfig{"biggan128", 4, false, "zero"},
                                         EnergyConfig{"biggan224", 4}, EnergyConfig{"mlp2d", 8}),
                         [](const auto& each) { return each.param.network; });

TEST(Energy, SpectralNormalisationBoundsEachLayer) {
  const auto energy = make_energy({.network = "biggan64", .width = 16, .spectral_norm = true}, 1);
  int seen = 0;
  for (const auto& module : energy->modules()) {
    const auto* conv = module->as<Conv>();
    if (!conv) continue;
    const auto sigma = at::linalg_matrix_norm(conv->effective_weight().detach().flatten(1), 2).item<double>();
    // Ten iterations from below: never under 1 but by rounding, and a little above.
    EXPECT_GT(sigma, 1 - 1e-5);
    EXPECT_LT(sigma, 1.2);
    ++seen;
  }
  EXPECT_EQ(seen, 1 + 8 * 4 + 4 + 4);  // first, blocks, their shortcuts, attention
}

TEST(Energy, AttentionStartsAsAsked) {
  const auto gamma = [](const EnergyConfig& config, std::uint64_t seed) {
    return make_energy(config, seed)->named_parameters()["attention.gamma"].item<double>();
  };
  EXPECT_EQ(gamma({"biggan64", 8, false, "zero"}, 1), 0);
  double sum = 0;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    const auto value = gamma({"biggan64", 8}, seed);
    EXPECT_LE(std::abs(value), 1.7);
    sum += value * value;
  }
  EXPECT_NEAR(sum / 64, 1.7 * 1.7 / 3, 0.5);
  EXPECT_THROW(gamma({"biggan64", 8, false, "one"}, 1), Error);
}

TEST(Energy, SaysWhatItDoesNotTake) {
  try {
    make_energy({.network = "sngan23"}, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_EQ(error.hint(), "did you mean sngan32?");
  }
  EXPECT_THROW(make_energy({.network = "sngan64", .width = 24}, 1), Error);
  EXPECT_THROW(make_energy({.network = "light", .width = -1}, 1), Error);
  EXPECT_THROW(make_energy({.network = "biggan224", .width = 6}, 1), Error);
  EXPECT_THROW(make_energy({.network = "biggan64", .width = 4}, 1), Error);
  EXPECT_THROW(make_energy({.network = "sngan32", .width = 4, .spectral_norm = true}, 1), Error);
  try {
    make_energy({.network = "light", .width = 1}, 1)->energy(some_images(1, 64));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::input);
  }
}

}  // namespace
}  // namespace langrun
