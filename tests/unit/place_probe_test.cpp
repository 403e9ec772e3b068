// Networks of other people, looked at in the shape of the calls to come.
#include "jobs/place_probe.h"

#include <gtest/gtest.h>

#include "jobs/sampled_energy.h"
#include "score_support.h"
#include "tests/unit/networks_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;

TEST(PlaceProbe, SeesPlacesAndNeighboursToTheBit) {
  const auto images = probe_images(4, 3, 8, 8);
  const auto answers = [&](const auto& of) {
    return keeps_places(images, [&](const at::Tensor& x) { return std::vector{of(x)}; });
  };
  EXPECT_TRUE(answers([](const at::Tensor& x) { return x * 2; }));
  EXPECT_FALSE(answers([](const at::Tensor& x) {
    return x + 1e-7 * torch::arange(4.0).view({4, 1, 1, 1}).to(at::kFloat);
  }));
  EXPECT_FALSE(answers([](const at::Tensor& x) { return x - 1e-6 * x.mean(); }))
      << "the same in every order of the call";
  EXPECT_TRUE(keeps_places(probe_images(1, 3, 8, 8), [](const at::Tensor&) { return std::vector<at::Tensor>(); }));
}

/// An energy of TorchScript whose value is `body`.
SampledEnergy scripted(const Scratch& scratch, const std::string& body) {
  std::filesystem::remove(scratch / "energy.pt");
  testing::make_script(scratch / "energy.pt", body);
  SampledEnergyConfig config;
  config.file = scratch / "energy.pt";
  config.size = 8;
  return {config, at::kCPU};
}

TEST(PlaceProbe, EnergiesOfTorchScript) {
  const Scratch scratch;
  const auto plain = scripted(scratch, "    return torch.sum(x * x * x, [1, 2, 3])\n");
  EXPECT_TRUE(plain.keeps_places(4, std::nullopt));
  EXPECT_TRUE(plain.keeps_places(4, Activation{}));
  // Apart up to rounding, so that it may be sampled, but not to the bit.
  const auto placed = scripted(scratch,
                               "    y = torch.sum(x * x, [1, 2, 3])\n"
                               "    return y * (1 + 1e-6 * torch.arange(x.size(0)))\n");
  EXPECT_FALSE(placed.keeps_places(4, std::nullopt));
  EXPECT_TRUE(placed.keeps_places(1, std::nullopt)) << "a call of one has no neighbours";
}

TEST(PlaceProbe, CurvatureThatIsNotThereIsRefused) {
  const Scratch scratch;
  const auto energy = scripted(scratch, "    return torch.sum(x * x * x, [1, 2, 3])\n");
  const auto smooth = error_of(ExitCode::usage, [&] { energy.keeps_places(4, Activation{10}); });
  EXPECT_NE(smooth.find("full-smooth"), std::string::npos) << smooth;
  const auto score = scripted(scratch, "    return -x\n");
  EXPECT_TRUE(score.keeps_places(4, std::nullopt));
  const auto full = error_of(ExitCode::usage, [&] { score.keeps_places(4, Activation{}); });
  EXPECT_NE(full.find("score"), std::string::npos) << full;
}

}  // namespace
}  // namespace langrun
