#include "core/plane_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace langrun {

PlanePoint PlaneGrid::middle(std::size_t index) const {
  const auto across = static_cast<std::size_t>(cells);
  const auto place = [&](std::size_t cell) { return (static_cast<double>(cell) + 0.5) * spacing() - half_width; };
  return {place(index % across), place(index / across)};
}

PlaneModel plane_model(const PlaneGrid& grid, std::span<const double> energy) {
  if (energy.size() != grid.size())
    throw Error(ExitCode::internal, fmt::format("{} energies for {} cells", energy.size(), grid.size()));
  for (std::size_t i = 0; i < energy.size(); ++i)
    if (!std::isfinite(energy[i]))
      throw Error(ExitCode::diverged,
                  fmt::format("the energy is {} at ({:.4g}, {:.4g})", energy[i], grid.middle(i).x, grid.middle(i).y));
  PlaneModel model;
  model.border_width = grid.half_width / 15;
  const double least = *std::min_element(energy.begin(), energy.end());
  double sum = 0;
  for (const double e : energy) sum += std::exp(least - e);
  model.log_normaliser = std::log(sum * grid.area()) - least;
  const double inside = grid.half_width - model.border_width;
  for (std::size_t i = 0; i < energy.size(); ++i) {
    model.log_density.push_back(-energy[i] - model.log_normaliser);
    const auto at = grid.middle(i);
    if (std::max(std::abs(at.x), std::abs(at.y)) > inside)
      model.border_mass += std::exp(model.log_density.back()) * grid.area();
  }
  return model;
}

std::vector<double> energy_gradient(const PlaneDensity& truth, const PlaneGrid& grid) {
  std::vector<double> gradient;
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const auto slope = truth.log_gradient(grid.middle(i));
    gradient.push_back(-slope.x);
    gradient.push_back(-slope.y);
  }
  return gradient;
}

PlaneComparison compare_with(const PlaneDensity& truth, const PlaneGrid& grid, const PlaneModel& model) {
  PlaneComparison result;
  for (const auto& name : truth.modes()) result.modes.push_back({name, 0, 0});
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const auto at = grid.middle(i);
    const double log_q = truth.log_density(at), log_p = model.log_density[i];
    const double q = std::exp(log_q) * grid.area(), p = std::exp(log_p) * grid.area();
    result.truth_log_density.push_back(log_q);
    result.truth_mass += q;
    // Both logarithms are finite wherever they are taken, so a density of 0 adds 0.
    result.kl += q * (log_q - log_p);
    result.reverse_kl += p * (log_p - log_q);
    result.total_variation += 0.5 * std::abs(p - q);
    auto& mode = result.modes[truth.mode_of(at)];
    mode.weight += p;
    mode.truth += q;
  }
  return result;
}

}  // namespace langrun
