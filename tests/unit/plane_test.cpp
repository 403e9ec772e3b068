// Exact densities over the plane, and models against them.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/plane_comparison.h"
#include "core/plane_density.h"

namespace langrun {
namespace {

std::vector<double> energy_of(const PlaneDensity& density, const PlaneGrid& grid, double added) {
  std::vector<double> energy;
  for (std::size_t i = 0; i < grid.size(); ++i) energy.push_back(added - density.log_density(grid.middle(i)));
  return energy;
}

TEST(Plane, DensitiesIntegrateToOneAndLieWithinTheSquare) {
  for (const auto& name : plane_density_names()) {
    const PlaneDensity density(name);
    const PlaneGrid grid{1.5, 256};
    double mass = 0, outside = 0;
    for (std::size_t i = 0; i < grid.size(); ++i) {
      const auto at = grid.middle(i);
      const double p = std::exp(density.log_density(at)) * grid.area();
      mass += p;
      if (std::max(std::abs(at.x), std::abs(at.y)) > 1) outside += p;
    }
    EXPECT_NEAR(mass, 1, 1e-9) << name;
    EXPECT_LT(outside, 1e-6) << name;
    EXPECT_TRUE(std::isfinite(density.log_density({40, -40}))) << name;
  }
}

TEST(Plane, TheRingIsWhatItsDescriptionSays) {
  const PlaneDensity ring("ring");
  ASSERT_EQ(ring.modes().size(), 8U);
  ASSERT_EQ(ring.centers().size(), 8U);
  EXPECT_NEAR(ring.centers()[2].x, 0, 1e-15);
  EXPECT_NEAR(ring.centers()[2].y, 0.6, 1e-15);
  // At a centre the neighbours, 5.7 deviations away, add next to nothing.
  EXPECT_NEAR(ring.log_density({0.6, 0}), -std::log(8 * 2 * std::numbers::pi * 0.08 * 0.08), 1e-6);
  EXPECT_EQ(ring.mode_of({0.5, 0.02}), 0U);
  EXPECT_EQ(ring.mode_of({-0.1, -3}), 6U);
}

TEST(Plane, GradientsAreThoseOfTheLogarithm) {
  for (const auto& name : plane_density_names()) {
    const PlaneDensity density(name);
    constexpr double kStep = 1e-6;
    for (const PlanePoint at : {PlanePoint{0.3, 0.4}, {-0.71, 0.1}, {0.02, -0.3}, {1.2, 1.3}}) {
      const auto slope = density.log_gradient(at);
      const auto along = [&](double dx, double dy) {
        return (density.log_density({at.x + dx, at.y + dy}) - density.log_density({at.x - dx, at.y - dy})) /
               (2 * kStep);
      };
      EXPECT_NEAR(slope.x, along(kStep, 0), 1e-4 * (1 + std::abs(slope.x))) << name;
      EXPECT_NEAR(slope.y, along(0, kStep), 1e-4 * (1 + std::abs(slope.y))) << name;
    }
  }
}

TEST(Plane, SamplesFollowTheDensityAndTheirKeys) {
  constexpr std::uint64_t kCount = 40000;
  for (const auto& name : plane_density_names()) {
    const PlaneDensity density(name);
    std::vector<double> counts(density.modes().size(), 0);
    double log_likelihood = 0, square = 0;
    for (std::uint64_t i = 0; i < kCount; ++i) {
      const auto sample = density.sample(3, i);
      counts[sample.mode] += 1;
      const double log_p = density.log_density({sample.x, sample.y});
      log_likelihood += log_p;
      square += log_p * log_p;
    }
    const auto share = kCount / static_cast<double>(counts.size());
    for (const double count : counts) EXPECT_NEAR(count, share, 5 * std::sqrt(share)) << name;
    // Minus the mean of ln p is the entropy, here integrated on a grid.
    const PlaneGrid grid{1.5, 256};
    double entropy = 0;
    for (std::size_t i = 0; i < grid.size(); ++i) {
      const double log_p = density.log_density(grid.middle(i));
      entropy -= std::exp(log_p) * log_p * grid.area();
    }
    const double mean = log_likelihood / kCount, deviation = std::sqrt(square / kCount - mean * mean);
    EXPECT_NEAR(-mean, entropy, 5 * deviation / std::sqrt(kCount)) << name;
    EXPECT_NE(density.sample(3, 0).x, density.sample(4, 0).x);
    EXPECT_NE(density.sample(3, 0).x, density.sample(3, 1).x);
  }
}

TEST(Plane, AModelThatIsTheTruthHasNoDivergence) {
  const PlaneGrid grid{1.5, 128};
  for (const auto& name : plane_density_names()) {
    const PlaneDensity truth(name);
    // Far beyond what exp can hold: only the constant's difference counts.
    const auto model = plane_model(grid, energy_of(truth, grid, 5000));
    EXPECT_NEAR(model.log_normaliser, -5000, 1e-6);
    EXPECT_LT(model.border_mass, 1e-12);
    const auto compared = compare_with(truth, grid, model);
    EXPECT_NEAR(compared.kl, 0, 1e-9);
    EXPECT_NEAR(compared.reverse_kl, 0, 1e-9);
    EXPECT_NEAR(compared.total_variation, 0, 1e-9);
    EXPECT_NEAR(compared.truth_mass, 1, 1e-6);
    for (const auto& mode : compared.modes)
      EXPECT_NEAR(mode.weight, 1.0 / static_cast<double>(truth.modes().size()), 1e-3);
  }
}

TEST(Plane, DivergencesAreThoseOfKnownModels) {
  const PlaneGrid grid{1.5, 256};
  const PlaneDensity truth("ring");
  // Uniform on the square: KL(q || 1/9) = ln 9 - entropy of q, which is that of one Gaussian and ln 8 less the
  // little by which modes overlap. Sectors of a square around the middles of its sides have tan(pi / 8) / 4 of it.
  const auto flat = compare_with(truth, grid, plane_model(grid, std::vector<double>(grid.size(), -3.0)));
  const double entropy = std::log(8 * 2 * std::numbers::pi * std::numbers::e * 0.08 * 0.08);
  EXPECT_GT(flat.kl, std::log(9) - entropy);
  EXPECT_NEAR(flat.kl, std::log(9) - entropy, 2e-2);
  EXPECT_NEAR(flat.modes[0].weight, std::tan(std::numbers::pi / 8) / 4, 1e-3);
  // Up to where the modes touch: one mode made twice as likely: weights 2/9 and 1/9, KL = ln(9/8) - ln(2)/8.
  auto energy = energy_of(truth, grid, 0);
  for (std::size_t i = 0; i < grid.size(); ++i)
    if (truth.mode_of(grid.middle(i)) == 3) energy[i] -= std::log(2);
  const auto heavy = compare_with(truth, grid, plane_model(grid, energy));
  EXPECT_NEAR(heavy.modes[3].weight / heavy.modes[3].truth, 16.0 / 9, 1e-4);
  EXPECT_NEAR(heavy.modes[4].weight / heavy.modes[4].truth, 8.0 / 9, 1e-4);
  EXPECT_NEAR(heavy.kl, std::log(9.0 / 8) - std::log(2) / 8, 1e-4);
  EXPECT_NEAR(heavy.reverse_kl, std::log(8.0 / 9) + 2.0 / 9 * std::log(2), 1e-4);
  EXPECT_NEAR(heavy.total_variation, 2.0 / 9 - 1.0 / 8, 1e-4);
}

TEST(Plane, TheBorderSaysWhereTheSquareIsTooSmall) {
  const PlaneGrid grid{1.5, 60};
  const auto model = plane_model(grid, std::vector<double>(grid.size(), 0.0));
  EXPECT_NEAR(model.border_width, 0.1, 1e-12);
  EXPECT_NEAR(model.border_mass, 1 - (28.0 / 30) * (28.0 / 30), 1e-9);
  auto broken = std::vector<double>(grid.size(), 0.0);
  broken[7] = std::nan("");
  EXPECT_THROW(plane_model(grid, broken), Error);
}

TEST(Plane, UnknownNamesAreRefused) {
  try {
    PlaneDensity("rings");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_EQ(error.hint(), "did you mean ring?");
  }
}

}  // namespace
}  // namespace langrun
