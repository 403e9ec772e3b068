// The energy of a trained run over the plane, in float64.
#pragma once

#include <string>
#include <vector>

#include "core/plane_comparison.h"
#include "data/weights_file.h"

namespace langrun {

/// E(x) = U(x) / T + ||x||^2 / (2 tau^2), tau where the run's chains felt it.
struct ModelDensity {
  std::string network;
  std::int64_t width = 0;
  double temperature = 1;
  double tau = 0;                ///< 0: no such term
  std::vector<double> energy;    ///< E in the middles of the grid's cells
  std::vector<double> gradient;  ///< [arrows, 2] grad E in the middles of `arrows`' cells
};

/// Evaluates part `part` ("energy" or "energy_average") of a file of weights. `temperature`: 0: what the part says.
/// Throws Error(input) where the file lacks the part, the energy is not one of points of the plane, or its chains felt
/// a prior; Error(usage) where nobody says a temperature.
ModelDensity model_density(const WeightsFile& file, const std::string& part, double temperature, const PlaneGrid& grid,
                           const PlaneGrid& arrows);

}  // namespace langrun
