// A density over the plane that a model gives, on a grid, against one that is known exactly.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/plane_density.h"

namespace langrun {

/// Cells x cells squares over [-half_width, half_width]^2; cell (row, column) has y by row, from below, and x by
/// column.
struct PlaneGrid {
  double half_width = 1.5;
  std::int64_t cells = 512;

  double spacing() const { return 2 * half_width / static_cast<double>(cells); }
  double area() const { return spacing() * spacing(); }
  std::size_t size() const { return static_cast<std::size_t>(cells * cells); }
  /// Middle of cell `index` = row * cells + column.
  PlanePoint middle(std::size_t index) const;
};

/// A model's p = exp(-E) / Z over a grid, integrated as the sum over cells of value at the middle times area, float64.
struct PlaneModel {
  std::vector<double> log_density;  ///< ln p in the middles
  double log_normaliser = 0;        ///< ln Z
  double border_mass = 0;           ///< of p within border_width of the square's edge: small where the square holds p
  double border_width = 0;
};

/// E [grid.size()], any constant added. Log-sum-exp, so that no E overflows. Throws Error(diverged) where one is not
/// finite.
PlaneModel plane_model(const PlaneGrid& grid, std::span<const double> energy);

struct PlaneMode {
  std::string name;
  double weight = 0;  ///< the model's mass in the cells nearest to this mode
  double truth = 0;   ///< the truth's there
};

struct PlaneComparison {
  double kl = 0;               ///< of the model from the truth, sum q ln(q / p), nats
  double reverse_kl = 0;       ///< sum p ln(p / q)
  double total_variation = 0;  ///< half of the sum of |p - q|
  double truth_mass = 0;       ///< of the truth in the square: 1 to rounding and to the grid's width
  std::vector<PlaneMode> modes;
  std::vector<double> truth_log_density;
};

/// -grad ln q in the middles of the grid's cells, [size, 2]: what the gradient of a perfect model's E is.
std::vector<double> energy_gradient(const PlaneDensity& truth, const PlaneGrid& grid);

PlaneComparison compare_with(const PlaneDensity& truth, const PlaneGrid& grid, const PlaneModel& model);

}  // namespace langrun
